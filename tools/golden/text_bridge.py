"""The Rust bridge (rust/charm_text) from Python: the same library that charm links, called through ctypes."""

import ctypes
import json
import pathlib
import subprocess
import tempfile


class String(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_char)), ("length", ctypes.c_size_t)]


class Ids(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_int32)), ("length", ctypes.c_size_t)]


class Refused(ValueError):
    """The bridge returned a status other than OK; `by_template` where raise_exception was called."""

    def __init__(self, status, message):
        super().__init__(message)
        self.by_template = status == 3


def as_shared(library):
    """`library` as a shared one: the static library of a build folder is linked into a temporary file."""
    library = pathlib.Path(library)
    if library.suffix != ".a":
        return library
    shared = pathlib.Path(tempfile.mkdtemp(prefix="charm_text_")) / "libcharm_text.so"
    subprocess.run(["cc", "-shared", "-o", shared, "-Wl,--whole-archive", library, "-Wl,--no-whole-archive", "-lpthread", "-lm",
                    "-ldl"], check=True)
    return shared


class Bridge:
    def __init__(self, library):
        self.lib = ctypes.CDLL(str(as_shared(library)))
        self.lib.charm_text_string_free.argtypes = [String]
        self.lib.charm_text_ids_free.argtypes = [Ids]

    def check(self, status):
        if status != 0:
            out = String()
            self.lib.charm_text_last_error(ctypes.byref(out))
            raise Refused(status, self.take(out))

    def take(self, out):
        text = ctypes.string_at(out.data, out.length).decode("utf-8")
        self.lib.charm_text_string_free(out)
        return text

    def call(self, name, *texts, handle=None, flag=None, out):
        arguments = [] if handle is None else [handle]
        for text in texts:
            data = text.encode("utf-8")
            arguments += [ctypes.c_char_p(data), ctypes.c_size_t(len(data))]
        if flag is not None:
            arguments.append(ctypes.c_int32(flag))
        self.check(getattr(self.lib, name)(*arguments, ctypes.byref(out)))
        return out

    def template(self, source, tokens, date):
        return self.call("charm_text_template_new", source, json.dumps(tokens), date, out=ctypes.c_void_p())

    def render(self, handle, conversation, generation, tools=None, kwargs=None):
        messages = json.dumps(conversation, ensure_ascii=False)
        schemas = json.dumps(tools, ensure_ascii=False) if tools else ""
        variables = json.dumps(kwargs, ensure_ascii=False) if kwargs else ""
        return self.take(self.call("charm_text_template_render", messages, schemas, variables, handle=handle, flag=int(generation), out=String()))

    def free_template(self, handle):
        self.lib.charm_text_template_free(handle)

    def tokenizer(self, source, added="[]", split_special_tokens=False):
        return self.call("charm_text_tokenizer_new", source, added, flag=int(split_special_tokens), out=ctypes.c_void_p())

    def encode(self, handle, text, specials):
        out = self.call("charm_text_tokenizer_encode", text, handle=handle, flag=int(specials), out=Ids())
        ids = out.data[:out.length]
        self.lib.charm_text_ids_free(out)
        return ids

    def free_tokenizer(self, handle):
        self.lib.charm_text_tokenizer_free(handle)
