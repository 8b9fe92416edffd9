"""The C program of llama_floor.c inside a Python process: for a library that needs Python's symbols, as xllamacpp's."""

import ctypes
import sys

program, *words = sys.argv[1:]
arguments = [b"llama_floor", *(word.encode() for word in words)]
main = ctypes.CDLL(program).main
sys.exit(main(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments)))
