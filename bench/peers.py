#!/usr/bin/env python3
"""One other engine at the work that guidealign does, measured as `guidealign bench` measures itself.

    bench/peers.py encode --engine ort-int8 --model DIR --input prompts.jsonl --threads 1 --work DIR
    bench/peers.py search --engine faiss --vectors FILE --dim 384

encode: texts a second, the best of a few rounds over all texts sorted by length, in batches of 16 or of 64 or of one, whichever is fastest;
the median of one text at a time; the cosine to ONNX Runtime in float32.  Tokenizing is not counted, which is in the engine's favour.
search: the median time for the best 24 by inner product, one query at a time, one thread.  FILE holds float32 rows.
Engines: ort-f32, ort-int8 (dynamic, per channel), openvino-f32, openvino-bf16, openvino-int8 (NNCF, static), torch-f32, torch-bf16; faiss, usearch.
Prints one JSON object.  Models that were converted are kept under --work.
"""
import argparse
import json
import os
import pathlib
import statistics
import time

ROUND_S = 1.5  # a round's length, at least
SINGLE = 200   # texts that are timed one by one


class Texts:
    def __init__(self, model, path, longest):
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(longest)
        with open(path, encoding="utf-8") as lines:
            texts = [json.loads(line)["prompt"] for line in lines]
        self.ids = [e.ids for e in tokenizer.encode_batch(texts)]

    def batch(self, rows):
        import numpy as np
        width = max(len(self.ids[r]) for r in rows)
        tokens = np.zeros((len(rows), width), np.int64)
        for at, r in enumerate(rows):
            tokens[at, :len(self.ids[r])] = self.ids[r]
        return {"input_ids": tokens, "attention_mask": (np.arange(width) < np.array([[len(self.ids[r])] for r in rows])).astype(np.int64),
                "token_type_ids": np.zeros_like(tokens)}


def sentence_encoder(model):
    """The model with mean pooling and normalisation behind it, as a PyTorch module."""
    import torch
    from transformers import BertModel

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel.from_pretrained(model, attn_implementation="eager", add_pooling_layer=False)

        def forward(self, input_ids, attention_mask, token_type_ids):
            hidden = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]
            real = attention_mask.unsqueeze(2).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * real).sum(1) / real.sum(1), dim=1)

    return Encoder().eval()


class Encode:
    def __init__(self, options):
        self.model, self.threads = options.model, options.threads
        self.work = options.work / options.model.name
        self.work.mkdir(parents=True, exist_ok=True)
        self.texts = Texts(options.model, options.input, options.longest)

    def onnx(self):
        path = self.work / "f32.onnx"
        if not path.exists():
            import torch
            example = {name: torch.from_numpy(x) for name, x in self.texts.batch([0, 1]).items()}
            torch.onnx.export(sentence_encoder(self.model), tuple(example.values()), str(path), input_names=list(example),
                              output_names=["embedding"], opset_version=17, dynamo=False,
                              dynamic_axes={name: {0: "batch", 1: "tokens"} for name in example})
        return path

    def ort(self, path):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda batch: session.run(None, batch)[0]

    def ort_int8(self):
        path = self.work / "int8.onnx"
        if not path.exists():
            from onnxruntime.quantization import QuantType, quantize_dynamic
            quantize_dynamic(str(self.onnx()), str(path), weight_type=QuantType.QInt8, per_channel=True)
        return self.ort(path)

    def openvino(self, path, precision):
        import openvino
        compiled = openvino.Core().compile_model(str(path), "CPU", {
            "INFERENCE_NUM_THREADS": self.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision})
        request = compiled.create_infer_request()
        return lambda batch: request.infer(batch)[compiled.output(0)].copy()

    def openvino_int8(self):
        path = self.work / "int8.xml"
        if not path.exists():
            import nncf
            import openvino
            some = [self.texts.batch([r]) for r in range(0, len(self.texts.ids), max(1, len(self.texts.ids) // 100))]
            model = nncf.quantize(openvino.Core().read_model(str(self.onnx())), nncf.Dataset(some), model_type=nncf.ModelType.TRANSFORMER)
            openvino.save_model(model, str(path))
        return self.openvino(path, "f32")

    def torch(self, dtype):
        import torch
        torch.set_num_threads(self.threads)
        module = sentence_encoder(self.model).to(getattr(torch, dtype))

        def run(batch):
            with torch.inference_mode():
                return module(*(torch.from_numpy(x) for x in batch.values())).float().numpy()
        return run

    def engine(self, name):
        return {"ort-f32": lambda: self.ort(self.onnx()), "ort-int8": self.ort_int8,
                "openvino-f32": lambda: self.openvino(self.onnx(), "f32"), "openvino-bf16": lambda: self.openvino(self.onnx(), "bf16"),
                "openvino-int8": self.openvino_int8,
                "torch-f32": lambda: self.torch("float32"), "torch-bf16": lambda: self.torch("bfloat16")}[name]()

    def rate(self, run, size):
        order = sorted(range(len(self.texts.ids)), key=lambda r: len(self.texts.ids[r]))
        batches = [self.texts.batch(order[at:at + size]) for at in range(0, len(order), size)]
        best, begin = 0.0, time.perf_counter()
        while time.perf_counter() - begin < ROUND_S or best == 0:
            start = time.perf_counter()
            for batch in batches:
                run(batch)
            best = max(best, len(order) / (time.perf_counter() - start))
        return best

    def measure(self, name):
        import numpy as np
        singles = [self.texts.batch([r]) for r in range(min(SINGLE, len(self.texts.ids)))]
        reference, run, laps = self.engine("ort-f32"), self.engine(name), []
        cosines = [float(np.dot(reference(one)[0], run(one)[0])) for one in singles]
        for one in singles:
            start = time.perf_counter()
            run(one)
            laps.append(1e3 * (time.perf_counter() - start))
        return {"texts_per_s": max(self.rate(run, size) for size in (1, 16, 64)), "p50_ms": statistics.median(laps),
                "cosine_mean": statistics.mean(cosines), "cosine_min": min(cosines)}


def search(options):
    import numpy as np
    vectors = np.fromfile(options.vectors, np.float32).reshape(-1, options.dim)
    queries = [vectors[i * 7919 % len(vectors)][None] for i in range(30)]
    if options.engine == "faiss":
        import faiss
        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(options.dim)
        index.add(vectors)
        find = lambda q: index.search(q, 24)
    else:
        import usearch.index
        find = lambda q: usearch.index.search(vectors, q, 24, usearch.index.MetricKind.IP, exact=True, threads=1)
    laps = []
    for q in queries:
        start = time.perf_counter()
        find(q)
        laps.append(1e3 * (time.perf_counter() - start))
    return {"p50_ms": statistics.median(laps)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("encode", "search"))
    parser.add_argument("--engine", required=True)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--input", type=pathlib.Path)
    parser.add_argument("--longest", type=int, default=256, help="tokens that a text is cut to")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--vectors")
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    print(json.dumps(search(options) if options.what == "search" else Encode(options).measure(options.engine)))


if __name__ == "__main__":
    main()
