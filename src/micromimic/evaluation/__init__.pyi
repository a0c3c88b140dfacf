from .audit.epochs import (
    audit_runs as audit_runs,
    read_epochs as read_epochs,
    write_epochs as write_epochs,
)
from .comparison import (
    compare_runs as compare_runs,
)
from .metrics import (
    confusion as confusion,
    expected_calibration_error as expected_calibration_error,
    uar as uar,
    uf1 as uf1,
)
from .predictions import (
    Predictions as Predictions,
)
from .resampling import (
    subject_bootstrap as subject_bootstrap,
)
from .splits import (
    grouped as grouped,
    hde as hde,
    hold_out_subjects as hold_out_subjects,
    loso as loso,
)
