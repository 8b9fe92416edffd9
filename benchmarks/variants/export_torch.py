"""What making an ONNX file takes with torch: import, load, export; nothing is optimised or checked.

export_torch.py FOLDER FILE AUTO_CLASS
"""

import sys
import warnings

warnings.simplefilter("ignore")
import torch
import transformers

folder, file, name = sys.argv[1:4]
model = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()
ids = torch.tensor([[101, 7592, 2088, 102]])
with torch.no_grad():
    torch.onnx.export(
        model,
        (ids, torch.ones_like(ids)),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["input_ids", "attention_mask"],
        dynamic_axes={"input_ids": {0: "rows", 1: "tokens"}, "attention_mask": {0: "rows", 1: "tokens"}},
    )
