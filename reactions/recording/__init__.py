"""The verbs people do. Each is one transaction that writes the rows, the audit event and what follows from them.

`by` is who acts, `now` when. `seen_version` is the version of the record that the person had before them: when it is no
longer the stored one, StaleRecord is raised and nothing is written.

infusions.py: the infusion as a whole; courses.py: booking the next course; chairside.py: what is written down while an
infusion runs; rate_steps.py: that its rates can follow each other; reactions.py: the reaction; anaphylaxis.py: what is
done when it is suspected; judging.py: seriousness, cause and signature; answers.py: check-ins and alerts; mail.py: what
comes back of mails; review.py: what a clinician makes of an answer; silence.py: calling who did not answer;
signals.py: what is decided about a signal; patients.py: the person; erasing.py: forgetting who it was;
planning.py: a clinic's plan of check-ins; exports.py: what leaves as a file; site.py: which host sends.
"""

from reactions.recording.anaphylaxis import (
    AlreadyStamped,
    ImpossibleMoment,
    open_anaphylaxis,
    record_evidence,
    stamp,
    suspect_anaphylaxis,
    void_anaphylaxis,
)
from reactions.recording.answers import (
    AlreadyAcknowledged,
    AnsweredAgain,
    CheckInClosed,
    TooManyBirthYears,
    acknowledge_alert,
    begin_report,
    save_step,
    submit_answer,
    try_birth_year,
)
from reactions.recording.chairside import (
    MeasuredTooEarly,
    VialThere,
    add_vial,
    correct_step,
    correct_treatment,
    correct_vitals,
    give_treatment,
    record_observed,
    record_step,
    record_vitals,
    void_step,
    void_treatment,
    void_vitals,
)
from reactions.recording.courses import AlreadyBooked, NotBooked, book_course, next_course_label, unbook_course
from reactions.recording.erasing import ErasedBefore, StillOpen, erase_patient, still_open
from reactions.recording.exports import export_call_list, export_without_names
from reactions.recording.infusions import (
    Acknowledgement,
    AlreadyRecorded,
    CardUnanswered,
    StartsTooLate,
    correct_infusion,
    record_infusion,
    void_infusion,
)
from reactions.recording.judging import WrongPassword, judge_causality, judge_seriousness, sign_reaction
from reactions.recording.mail import record_bounce, settle_work, withdraw_email
from reactions.recording.patients import correct_response, record_response, set_risks, void_patient, void_response
from reactions.recording.planning import plan_changed, plan_snapshot
from reactions.recording.rate_steps import ImpossibleSteps, StepOutside
from reactions.recording.reactions import correct_reaction, reaction_snapshot, record_reaction, void_reaction
from reactions.recording.review import DecidedMeanwhile, accept_report, merge_report, reject_report
from reactions.recording.signals import decide_signal
from reactions.recording.silence import answer_by_telephone, record_call
from reactions.recording.site import adopt_site, due_mails
from reactions.recording.writing import AlreadyThere, ReactionStands, SentBefore

__all__ = [
    "Acknowledgement",
    "AlreadyAcknowledged",
    "AlreadyBooked",
    "AlreadyRecorded",
    "AlreadyStamped",
    "AlreadyThere",
    "AnsweredAgain",
    "CardUnanswered",
    "CheckInClosed",
    "DecidedMeanwhile",
    "ErasedBefore",
    "ImpossibleMoment",
    "ImpossibleSteps",
    "MeasuredTooEarly",
    "NotBooked",
    "ReactionStands",
    "SentBefore",
    "StartsTooLate",
    "StepOutside",
    "StillOpen",
    "TooManyBirthYears",
    "VialThere",
    "WrongPassword",
    "accept_report",
    "acknowledge_alert",
    "add_vial",
    "adopt_site",
    "answer_by_telephone",
    "begin_report",
    "book_course",
    "correct_infusion",
    "correct_reaction",
    "correct_response",
    "correct_step",
    "correct_treatment",
    "correct_vitals",
    "decide_signal",
    "due_mails",
    "erase_patient",
    "export_call_list",
    "export_without_names",
    "give_treatment",
    "judge_causality",
    "judge_seriousness",
    "merge_report",
    "next_course_label",
    "open_anaphylaxis",
    "plan_changed",
    "plan_snapshot",
    "reaction_snapshot",
    "record_bounce",
    "record_call",
    "record_evidence",
    "record_infusion",
    "record_observed",
    "record_reaction",
    "record_response",
    "record_step",
    "record_vitals",
    "reject_report",
    "save_step",
    "set_risks",
    "settle_work",
    "sign_reaction",
    "stamp",
    "still_open",
    "submit_answer",
    "suspect_anaphylaxis",
    "try_birth_year",
    "unbook_course",
    "void_anaphylaxis",
    "void_infusion",
    "void_patient",
    "void_reaction",
    "void_response",
    "void_step",
    "void_treatment",
    "void_vitals",
    "withdraw_email",
]
