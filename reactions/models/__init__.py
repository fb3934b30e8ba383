from reactions.models.alert import Alert
from reactions.models.chairside import ChairsideRow, Premedication, RateStep, Vial, Vitals
from reactions.models.checkin import Answer, AnswerSymptom, CheckIn
from reactions.models.course import Course
from reactions.models.infusion import Infusion
from reactions.models.judgement import AnaphylaxisRecord, CausalityAssessment, Signature
from reactions.models.on_call import AlertPolicy, OnCallShift
from reactions.models.outbox import MailPace, OutboxMessage
from reactions.models.patient_page import AnswerDraft, ReportLink, WrongBirthYear
from reactions.models.plan import CheckInPlan, PlanStep
from reactions.models.product import Product, ProductRate
from reactions.models.protocol import ClinicProtocol
from reactions.models.rates import RateColumns, RatesKept, StaleRates
from reactions.models.reaction import Reaction, Symptom, Treatment
from reactions.models.response import ResponseMeasures
from reactions.models.review import Report, ReviewDecision
from reactions.models.safety import PatientRisk, SafetyCheck
from reactions.models.signal import Signal, SignalDecision, SignalLook
from reactions.models.silence import PhoneCall, SilentPatient, silent_checkins, silent_patients
from reactions.models.watch import Heartbeat, Site
from reactions.models.worklist import WorkItem

__all__ = [
    "Alert",
    "AlertPolicy",
    "AnaphylaxisRecord",
    "Answer",
    "AnswerDraft",
    "AnswerSymptom",
    "CausalityAssessment",
    "ChairsideRow",
    "CheckIn",
    "CheckInPlan",
    "ClinicProtocol",
    "Course",
    "Heartbeat",
    "Infusion",
    "MailPace",
    "OnCallShift",
    "OutboxMessage",
    "PatientRisk",
    "PhoneCall",
    "PlanStep",
    "Premedication",
    "Product",
    "ProductRate",
    "RateColumns",
    "RateStep",
    "RatesKept",
    "Reaction",
    "Report",
    "ReportLink",
    "ResponseMeasures",
    "ReviewDecision",
    "SafetyCheck",
    "Signal",
    "SignalDecision",
    "SignalLook",
    "Signature",
    "SilentPatient",
    "Site",
    "StaleRates",
    "Symptom",
    "Treatment",
    "Vial",
    "Vitals",
    "WorkItem",
    "WrongBirthYear",
    "silent_checkins",
    "silent_patients",
]
