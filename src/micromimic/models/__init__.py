"""Recognition models: capsules, the flow capsule network, ONNX inference."""
