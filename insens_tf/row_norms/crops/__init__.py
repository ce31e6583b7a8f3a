"""Forward on crops: each input component's column of the Jacobian, kept where it is not zero.

What an input pixel reaches in a layer is a crop of it. The crops of a layer are pushed forward
together: a convolution is a few matrix products against its kernel spread over the width of a crop,
ReLU and pooling are products with crops of their state. Squared and added up where they lie, they
are the squared row norms.

`rules` knows the operations, one rule a kind; everything else here knows none. `layouts` is where
crops lie, `tiles` which pixels are pushed at a time, `crop_tensors` what is pushed, `tile_sizes`
how large a tile fits the memory, and `sweep` pushes the tiles of one input.
"""

from insens_tf.row_norms.crops.crops_way import Crops

__all__ = ["Crops"]
