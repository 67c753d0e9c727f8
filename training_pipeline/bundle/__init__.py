"""From a run to a bundle: calibration, scaling, export, figures and the model card."""
