"""Days and times as patients read them, in the language and on the clocks of the page."""

from django import template

from reactions.words import patient_day, patient_moment

register = template.Library()
register.filter("patient_day", patient_day)
register.filter("patient_moment", patient_moment)
