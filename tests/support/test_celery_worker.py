from ivigtrack.local import processes
from patients.models import Clinic
from reactions.tasks import tick


def test_a_task_sent_from_here_is_done_by_the_real_worker(
    celery_worker_process: processes.Child, clinic: Clinic
) -> None:
    tick.delay()
    processes.wait_for(celery_worker_process, lambda: "succeeded in" in celery_worker_process.last_lines(), seconds=20)
