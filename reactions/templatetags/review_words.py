"""Words about what patients reported."""

from django import template

from reactions.words import answered_how, asked_of, not_offered_to, report_line

register = template.Library()

register.filter("answered_how", answered_how)
register.filter("asked_of", asked_of)
register.filter("not_offered_to", not_offered_to)
register.filter("report_line", report_line)
