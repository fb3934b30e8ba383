from django.urls import path

from patients.views import patients

app_name = "patients"
urlpatterns = [
    path("", patients.patient_list, name="list"),
    path("new/", patients.register, name="register"),
    path("<int:pk>/correct/", patients.correct, name="correct"),
    path("<int:pk>/iga/", patients.record_iga, name="record_iga"),
    path("iga/<int:pk>/void/", patients.void_iga, name="void_iga"),
]
