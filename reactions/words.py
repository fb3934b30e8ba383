"""How records are told in words, on pages and in what leaves as a file."""

from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.utils import formats, timezone
from django.utils.translation import gettext

from reactions.clinical.causality import NARANJO_LABELS, NARANJO_QUESTIONS, UMC_POINTS, NaranjoAnswer
from reactions.clinical.onset import OnsetClass, is_within_label_window, onset_class
from reactions.clinical.questions import asked_in_words, not_offered
from reactions.clinical.seriousness import CRITERIA
from reactions.clinical.triage import in_words
from reactions.models import Answer, CausalityAssessment, Infusion, Reaction, Treatment
from reactions.vocabulary import LABELS, AnsweredBy, CausalityScale, PatientSeverity

ONSET_LABELS = {
    OnsetClass.IMMEDIATE: "immediate, within 6 h",
    OnsetClass.DELAYED: "delayed, within 1 week",
    OnsetClass.LATE: "late, after 1 week",
}


@dataclass(frozen=True)
class OnsetInWords:
    """When a reaction began, counted from the infusion's clock times."""

    after_start: str
    label: str
    in_label_window: bool
    when: str


def onset_in_words(reaction: Reaction, infusion: Infusion) -> OnsetInWords | None:
    """None when no onset was recorded, or when a later correction of the infusion put it before the start."""
    if reaction.onset_at is None or reaction.onset_at < infusion.started_at:
        return None
    minutes = int((reaction.onset_at - infusion.started_at).total_seconds() // 60)
    return OnsetInWords(
        after_start=_duration(minutes),
        label=ONSET_LABELS[onset_class(reaction.onset_at, infusion.started_at)],
        in_label_window=is_within_label_window(reaction.onset_at, infusion.started_at, infusion.ended_at),
        when=_when(reaction.onset_at, infusion.ended_at),
    )


def _when(onset_at: datetime, ended_at: datetime | None) -> str:
    """“during the infusion”, or how long after its end."""
    if ended_at is None or onset_at <= ended_at:
        return "during the infusion"
    return f"{_duration(int((onset_at - ended_at).total_seconds() // 60))} after its end"


def _duration(minutes: int) -> str:
    """“35 min”, “3 h 05 min”, “2 d 4 h”."""
    hours, rest = divmod(minutes, 60)
    if hours == 0:
        return f"{rest} min"
    days, hours_left = divmod(hours, 24)
    return f"{days} d {hours_left} h" if days else f"{hours} h {rest:02d} min"


def is_before_onset(given: Treatment, reaction: Reaction) -> bool:
    """The drug was given before the minute in which the reaction began; False where no onset was recorded."""
    return reaction.onset_at is not None and given.at < reaction.onset_at.replace(second=0, microsecond=0)


def serious_words(reaction: Reaction) -> str:
    """The criteria by name, or in words that none is met or nobody has judged."""
    if reaction.is_serious is None:
        return "not judged yet"
    if not reaction.is_serious:
        return "no, none of its criteria"
    met = [text.label for code, text in CRITERIA.items() if code in reaction.serious_criteria]
    return "yes: " + ("; ".join(met) if met else "the criterion was not recorded")


def cause_words(cause: CausalityAssessment | None) -> str:
    """The scale and the category, or that nobody has judged."""
    return str(cause) if cause else "not judged yet"


def judgement_words(cause: CausalityAssessment) -> str:
    """The scale with category and score; an unfinished score says that it is one."""
    if cause.score is None:
        return str(cause)
    if cause.category:
        return f"{cause}, score {cause.score}"
    return f"{cause}, score {cause.score} so far, {len(cause.answers)} of {len(NARANJO_QUESTIONS)} questions answered"


def judgement_lines(cause: CausalityAssessment) -> list[str]:
    """What a judgement rests on, a line each: the points ticked, or the questions with their answers."""
    if cause.scale == CausalityScale.WHO_UMC:
        ticked = cause.answers.get("points", [])
        return [words for point, words in UMC_POINTS.items() if point in ticked]
    answers = {question: cause.answers.get(str(question.number)) for question in NARANJO_QUESTIONS}
    return [
        f"{question.number}. {question.text} {NARANJO_LABELS[NaranjoAnswer(answer)]}"
        for question, answer in answers.items()
        if answer
    ]


def answer_lines(answer: Answer) -> dict[str, str]:
    """What a patient said, a line each by its name, times on the clocks in force; what was not said is left out."""
    lines = {"New or worse problem": "yes" if answer.has_problem else "no"}
    for row in answer.symptoms.all():
        severity = PatientSeverity(row.severity)
        told = [LABELS[PatientSeverity][severity].partition(":")[0].lower(), _began(row.began_at)]
        told.append({True: "still there", False: "over", None: ""}[row.still_there])
        lines[row.get_symptom_display()] = ", ".join(part for part in told if part)
    lines["Began"] = _clock(answer.began_at)
    lines["Still there"] = {True: "yes", False: "no", None: ""}[answer.still_there]
    lines["What the patient did"] = answer.get_care_sought_display() if answer.care_sought else ""
    lines["In the patient's words"] = f"“{answer.comment}”" if answer.comment else ""
    return {name: words for name, words in lines.items() if words}


@dataclass(frozen=True)
class AnswerChange:
    """One thing that a patient said otherwise the second time; empty is what was not said."""

    name: str
    before: str
    after: str


def answer_changes(before: Answer, after: Answer) -> list[AnswerChange]:
    """What the later answer says otherwise, in the order of the questions."""
    was, now_is = answer_lines(before), answer_lines(after)
    names = [*now_is, *(name for name in was if name not in now_is)]
    return [
        AnswerChange(name, was.get(name, ""), now_is.get(name, ""))
        for name in names
        if was.get(name) != now_is.get(name)
    ]


def answered_how(answer: Answer) -> str:
    """Who answered, and in which language by its own name: “by a parent or carer, in español”."""
    if answer.answered_by == AnsweredBy.TELEPHONE:
        return f"taken down by {LABELS[AnsweredBy][AnsweredBy.TELEPHONE]}"
    language = dict(settings.LANGUAGES).get(answer.language, answer.language)
    return f"by {LABELS[AnsweredBy].get(answer.answered_by, answer.answered_by)}, in {language}"


def asked_of(answer: Answer) -> str:
    """What the answer was asked: “First days, version 1, and opened the full list”."""
    return asked_in_words(answer.question_set) + (", and opened the full list" if answer.full_list else "")


def not_offered_to(answer: Answer) -> str:
    """The problems that a patient with a problem was not offered, in their words: of these nothing is known."""
    if not answer.has_problem:
        return ""
    told = {row.symptom for row in answer.symptoms.all()}
    lacking = not_offered(answer.question_set, full_list=answer.full_list)
    return ", ".join(in_words(problem) for problem in lacking if problem not in told)


def report_line(answer: Answer) -> str:
    """“Headache: severe, still there; Began: 2026-05-04 18:00”; in words where no problem is named."""
    lines = answer_lines(answer)
    del lines["New or worse problem"]
    told = "; ".join(f"{name}: {words}" for name, words in lines.items())
    return told or ("A problem without a symptom named" if answer.has_problem else "No problem any more")


def report_narrative(answer: Answer) -> str:
    """The report as it begins a reaction's narrative, in the patient's words and grades, marked as such."""
    return f"Patient report of {_clock(answer.submitted_at)} (graded by the patient): {report_line(answer)}."


def _clock(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment else ""


def _began(moment: datetime | None) -> str:
    return f"began {_clock(moment)}" if moment else ""


def patient_day(moment: date) -> str:
    """“Sunday, January 4” in the language of the page, on the clocks of the zone that is in force."""
    # Translators: a day, in Django's letters for dates
    return formats.date_format(_local(moment), gettext("l, F j"), use_l10n=False)


def patient_moment(moment: datetime) -> str:
    """“Sunday, January 4, 9:15 AM” in the language of the page, on the clocks of the zone that is in force."""
    # Translators: a day and time, in Django's letters for dates
    return formats.date_format(_local(moment), gettext("l, F j, g:i A"), use_l10n=False)


def _local(moment: date) -> date:
    return timezone.localtime(moment) if isinstance(moment, datetime) else moment
