"""GLM-ASR: a form as OpenAI's, without times and without a choice of the language. Facts from docs.bigmodel.cn and docs.z.ai, read
2026-11-23."""

from providers.fields import Fields, all_native, native, rename
from providers.media import TRANSCRIPTION_BASICS, CommonTranscriptions
from providers.zhipu.errors import ERRORS

FIELDS: Fields = {
    **TRANSCRIPTION_BASICS,
    "prompt": native,
    "stream": native,
    "keywords": rename("hotwords"),
    **all_native("hotwords", "request_id", "user_id"),
}
TRANSCRIPTIONS = CommonTranscriptions(fields=FIELDS, errors=ERRORS)
