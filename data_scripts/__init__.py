"""Fetch the data sets of the experiments and write each as one ``.npz`` file."""
