from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Amount(_message.Message):
    __slots__ = ("nano_usd", "tokens", "requests")
    NANO_USD_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    nano_usd: int
    tokens: int
    requests: int
    def __init__(self, nano_usd: _Optional[int] = ..., tokens: _Optional[int] = ..., requests: _Optional[int] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input", "cached_input", "cache_write", "output", "reasoning", "estimated", "cache_write_1h", "audio_input", "audio_output", "image_input")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    AUDIO_INPUT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_INPUT_FIELD_NUMBER: _ClassVar[int]
    input: int
    cached_input: int
    cache_write: int
    output: int
    reasoning: int
    estimated: bool
    cache_write_1h: int
    audio_input: int
    audio_output: int
    image_input: int
    def __init__(self, input: _Optional[int] = ..., cached_input: _Optional[int] = ..., cache_write: _Optional[int] = ..., output: _Optional[int] = ..., reasoning: _Optional[int] = ..., estimated: bool = ..., cache_write_1h: _Optional[int] = ..., audio_input: _Optional[int] = ..., audio_output: _Optional[int] = ..., image_input: _Optional[int] = ...) -> None: ...
