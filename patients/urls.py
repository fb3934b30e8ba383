from django.urls import path

from patients.views import patients, trail

app_name = "patients"
urlpatterns = [
    path("", patients.patient_list, name="list"),
    path("new/", patients.register, name="register"),
    path("<int:pk>/correct/", patients.correct, name="correct"),
    path("<int:pk>/iga/", patients.record_iga, name="record_iga"),
    path("trail/", trail.trail_page, name="trail"),
    path("trail.csv", trail.trail_csv, name="trail_csv"),
    path("iga/<int:pk>/void/", patients.void_iga, name="void_iga"),
]
