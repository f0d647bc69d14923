def needs_a_gpu(*_args, **_kwargs):
    raise RuntimeError("packed samples need flash-attn and a GPU: train without --ds.packing_samples")


index_first_axis = pad_input = rearrange = unpad_input = needs_a_gpu
