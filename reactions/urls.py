from django.urls import path

from reactions.views import alerts, checkins, infusions, patient, reactions

app_name = "reactions"
urlpatterns = [
    path("patients/<int:pk>/", patient.patient_page, name="patient"),
    path("patients/<int:pk>/void/", patient.void_patient, name="void_patient"),
    path("patients/<int:patient_pk>/infusions/new/", infusions.record_infusion, name="record_infusion"),
    path("infusions/<int:pk>/", infusions.infusion_page, name="infusion"),
    path("infusions/<int:pk>/correct/", infusions.correct_infusion, name="correct_infusion"),
    path("infusions/<int:pk>/void/", infusions.void_infusion, name="void_infusion"),
    path("infusions/<int:infusion_pk>/reactions/new/", reactions.record_reaction, name="record_reaction"),
    path("reactions/<int:pk>/", reactions.reaction_page, name="reaction"),
    path("reactions/<int:pk>/correct/", reactions.correct_reaction, name="correct_reaction"),
    path("reactions/<int:pk>/void/", reactions.void_reaction, name="void_reaction"),
    path("checkins/<int:pk>/", alerts.checkin_page, name="checkin"),
    path("c/<str:token>/", checkins.first_question, name="patient_checkin"),
    path("c/<str:token>/details/", checkins.details, name="patient_details"),
    path("c/<str:token>/thanks/", checkins.thanks, name="patient_thanks"),
    path("alerts/", alerts.alert_list, name="alerts"),
    path("alerts/<int:pk>/acknowledge/", alerts.acknowledge, name="acknowledge"),
]
