"""Parameter groups: how the optimizer treats the parameters of a module, named by the module's `parameter_group`.

The rates and decays of the groups are in `redrec.training.optimizer`.
"""

TABLE = "table"  # a table; a step uses few of its rows
LANGUAGE_MODEL = "language_model"  # pretrained
MATRIX = "matrix"
UNDECAYED = "undecayed"  # biases, norms and small embeddings
