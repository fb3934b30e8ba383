"""Words about what patients reported."""

from django import template

from reactions.words import answered_how, report_line

register = template.Library()

register.filter("answered_how", answered_how)
register.filter("report_line", report_line)
