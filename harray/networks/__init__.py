"""Pretrained networks on whichever runtime is fastest here: torch, ONNX Runtime, OpenVINO."""
