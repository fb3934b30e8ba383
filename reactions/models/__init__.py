from reactions.models.alert import Alert
from reactions.models.checkin import Answer, AnswerSymptom, CheckIn
from reactions.models.infusion import Course, Infusion, Premedication, RateStep, Vial, Vitals
from reactions.models.outbox import OutboxMessage
from reactions.models.product import Product
from reactions.models.reaction import Reaction, Symptom

__all__ = [
    "Alert",
    "Answer",
    "AnswerSymptom",
    "CheckIn",
    "Course",
    "Infusion",
    "OutboxMessage",
    "Premedication",
    "Product",
    "RateStep",
    "Reaction",
    "Symptom",
    "Vial",
    "Vitals",
]
