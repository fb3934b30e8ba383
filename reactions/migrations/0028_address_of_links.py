from django.db import migrations, models
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Coalesce


def note_who_has_links_without_a_mark(apps, schema_editor):
    """Links that were mailed before they named their address go on working for the one that they were mailed to."""
    mails = apps.get_model("reactions", "OutboxMessage").objects.exclude(sent_to="").order_by("-pk")

    def latest(**about):
        return Coalesce(Subquery(mails.filter(**about).values("sent_to")[:1]), Value(""))

    checkins = apps.get_model("reactions", "CheckIn").objects
    checkins.exclude(kind="report").update(link_address=latest(checkin=OuterRef("pk")))
    # Begun by the standing link, which came in whatever mail was the latest.
    of_patient = latest(checkin__infusion__patient=OuterRef("infusion__patient"))
    open_reports = checkins.filter(kind="report", state="open").annotate(known=of_patient)
    for pk, address in open_reports.values_list("pk", "known"):
        checkins.filter(pk=pk).update(link_address=address)
    links = apps.get_model("reactions", "ReportLink").objects
    links.update(link_address=latest(checkin__infusion__patient=OuterRef("patient")))
    drafts = apps.get_model("reactions", "AnswerDraft").objects
    drafts.update(address=Subquery(checkins.filter(pk=OuterRef("checkin")).values("link_address")[:1]))


class Migration(migrations.Migration):

    dependencies = [
        ("reactions", "0027_question_sets"),
    ]

    operations = [
        migrations.AddField(
            model_name="checkin",
            name="link_address",
            field=models.CharField(blank=True, default="", editable=False, help_text="Digest of the address that has a link without a mark.", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="reportlink",
            name="link_address",
            field=models.CharField(blank=True, default="", editable=False, help_text="Digest of the address that has a link without a mark.", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="answerdraft",
            name="address",
            field=models.CharField(blank=True, default="", editable=False, help_text="Digest of the address whose link began it: nobody else reads it.", max_length=64),
            preserve_default=False,
        ),
        migrations.RunPython(note_who_has_links_without_a_mark, migrations.RunPython.noop),
    ]
