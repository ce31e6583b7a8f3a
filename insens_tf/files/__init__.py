"""Models, images and data from files, and results into files, whole or not at all.

Reading says no early and in one sentence: every problem with a file is an `UnusableFileError` whose
text names the file, what was expected, what came and the way out. TensorFlow is imported only where
a model is loaded, so that a wrong path is reported at once.
"""

from insens_tf.files.arrays import Parts, npz_names, read_npy, read_npz, save_arrays, write_npz
from insens_tf.files.csv_tables import write_csv
from insens_tf.files.file_errors import UnusableFileError, one_line, printable
from insens_tf.files.images import (
    Images,
    check_image_paths,
    chosen_array,
    natural_order,
    read_images,
    unique_names,
)
from insens_tf.files.inputs import ModelInputs, fit_to_model, scale_names
from insens_tf.files.models import begins_with_scaling, check_model_path, load_model, refuse_code
from insens_tf.files.pictures import PICTURE_FORMS
from insens_tf.files.results import check_writable, results_folder, whole_file
from insens_tf.files.stored_models import StoredModel, stored_model
from insens_tf.files.unfinished import (
    UnfinishedResults,
    check_resumable,
    fingerprints,
    order_fingerprint,
    resumable_results,
    unfinished_folder,
)

__all__ = [
    "PICTURE_FORMS",
    "Images",
    "ModelInputs",
    "Parts",
    "StoredModel",
    "UnfinishedResults",
    "UnusableFileError",
    "begins_with_scaling",
    "check_image_paths",
    "check_model_path",
    "check_resumable",
    "check_writable",
    "chosen_array",
    "fingerprints",
    "fit_to_model",
    "load_model",
    "natural_order",
    "npz_names",
    "one_line",
    "order_fingerprint",
    "printable",
    "read_images",
    "read_npy",
    "read_npz",
    "refuse_code",
    "results_folder",
    "resumable_results",
    "save_arrays",
    "scale_names",
    "stored_model",
    "unfinished_folder",
    "unique_names",
    "whole_file",
    "write_csv",
    "write_npz",
]
