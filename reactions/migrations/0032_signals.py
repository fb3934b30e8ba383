import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0011_least_patients'),
        ('reactions', '0031_indexes_by_or'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Signal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('lot', 'Lot'), ('product', 'Product'), ('site', 'Setting')], max_length=10)),
                ('product', models.CharField(blank=True, max_length=100)),
                ('lot', models.CharField(blank=True, help_text='In capitals.', max_length=20)),
                ('setting', models.CharField(blank=True, choices=[('clinic', 'Clinic'), ('hospital', 'Hospital'), ('home', 'Home'), ('other', 'Elsewhere')], max_length=10)),
                ('period', models.CharField(blank=True, max_length=4)),
                ('what', models.CharField(max_length=200)),
                ('raised_at', models.DateTimeField()),
                ('found_at', models.DateTimeField(verbose_name='last found')),
                ('stands_out', models.BooleanField(default=True, verbose_name='stands out at the latest look')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='first decided')),
                ('observed', models.PositiveIntegerField()),
                ('total', models.PositiveIntegerField()),
                ('patients', models.PositiveIntegerField()),
                ('expected', models.FloatField()),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('events', models.PositiveIntegerField()),
                ('infusions', models.PositiveIntegerField()),
                ('words', models.CharField(max_length=300)),
                ('compared_with', models.CharField(max_length=500)),
                ('method', models.CharField(max_length=500)),
                ('false_alarm', models.CharField(max_length=500, verbose_name='how often it is false')),
                ('checks', models.JSONField(blank=True, default=list, verbose_name='what to check first')),
                ('reacted', models.JSONField(blank=True, default=list, verbose_name='infusions with a reaction that were known')),
                ('least_patients', models.PositiveSmallIntegerField(default=0, verbose_name='no smaller group can be told')),
                ('version', models.PositiveIntegerField(default=1)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signals', to='patients.clinic')),
            ],
            options={
                'ordering': ['-raised_at', '-pk'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('decided_at', None)), fields=('clinic', 'kind', 'product', 'lot', 'setting', 'period'), name='reactions_signal_open_once'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('product', ''), _negated=True), models.Q(('lot', ''), _negated=True), ('kind', 'lot'), ('period', ''), ('setting', '')), models.Q(models.Q(('product', ''), _negated=True), models.Q(('period', ''), _negated=True), ('kind', 'product'), ('lot', ''), ('setting', '')), models.Q(models.Q(('period', ''), _negated=True), ('kind', 'site'), ('lot', ''), ('product', '')), _connector='OR'), name='reactions_signal_is_about_its_kind')],
            },
        ),
        migrations.CreateModel(
            name='SignalDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verdict', models.CharField(choices=[('no_cause', 'Looked into: no cause found'), ('chance', 'Looked into: taken for chance'), ('explained', 'Looked into: explained by something else'), ('quarantined', 'Product set aside'), ('reported', 'Reported to the manufacturer or the authority'), ('watching', 'Watched further')], max_length=15)),
                ('words', models.CharField(max_length=1000)),
                ('figures', models.CharField(max_length=300, verbose_name='figures then')),
                ('events', models.PositiveIntegerField()),
                ('infusions', models.PositiveIntegerField()),
                ('decided_at', models.DateTimeField()),
                ('submission_id', models.UUIDField(editable=False, unique=True)),
                ('decided_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='reactions.signal')),
            ],
            options={
                'verbose_name': 'decision about a signal',
                'verbose_name_plural': 'decisions about signals',
                'ordering': ['-decided_at', '-pk'],
                'constraints': [models.CheckConstraint(condition=models.Q(('verdict__in', ['no_cause', 'chance', 'explained', 'quarantined', 'reported', 'watching'])), name='reactions_signaldecision_verdict_known'), models.CheckConstraint(condition=models.Q(('words', ''), _negated=True), name='reactions_signaldecision_has_words')],
            },
        ),
        migrations.CreateModel(
            name='SignalLook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('looked_at', models.DateTimeField()),
                ('infusions', models.PositiveIntegerField(default=0)),
                ('lots', models.PositiveIntegerField(default=0)),
                ('watched', models.JSONField(default=list)),
                ('unwatched', models.JSONField(default=list)),
                ('clinic', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='signal_look', to='patients.clinic')),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='workitem',
            name='reactions_workitem_about_its_record',
        ),
        migrations.AddField(
            model_name='workitem',
            name='signal',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='work', to='reactions.signal'),
        ),
        migrations.AlterField(
            model_name='workitem',
            name='kind',
            field=models.CharField(choices=[('serious_reaction', 'Serious reaction to follow through'), ('bounced', 'Mail to the patient came back'), ('unsubscribed', 'The patient stopped the mails'), ('signal', 'Something stands out')], max_length=20),
        ),
        migrations.AddConstraint(
            model_name='workitem',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None)), fields=('kind', 'signal'), name='reactions_workitem_signal_open_once'),
        ),
        migrations.AddConstraint(
            model_name='workitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'serious_reaction'), ('patient', None), ('reaction__isnull', False), ('signal', None)), models.Q(('kind__in', ['bounced', 'unsubscribed']), ('patient__isnull', False), ('reaction', None), ('signal', None)), models.Q(('kind', 'signal'), ('patient', None), ('reaction', None), ('signal__isnull', False)), _connector='OR'), name='reactions_workitem_about_its_record'),
        ),
    ]
