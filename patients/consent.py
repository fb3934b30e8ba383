"""What a patient is told before they agree to ordinary email, by version and language.

Unencrypted mail may be used once somebody was told of the risk and still wants it (US: 78 FR 5634; EU: GDPR art. 7 asks
to be able to show what was agreed to). A text that was used is never changed: a new version is added, and each
patient's record keeps which one was read to them.
"""

from collections.abc import Mapping

# The first is the single sentence that stood on the form before texts had versions.
TEXTS: Mapping[str, Mapping[str, str]] = {
    "1": {"en": "Ordinary email is not encrypted."},
    "2": {
        "en": (
            "After each infusion we would like to ask by email how you are. Ordinary email is not encrypted: on its"
            " way, or on a device that you share, others could read it. Our mails name no illness, no medicine and no"
            " complaint; each has a link to a page on which you answer. You need not agree: your treatment stays the"
            " same, and we can telephone instead. You can stop the mails at any time, by a link in each of them or by"
            " telling us."
        ),
        "es": (
            "Después de cada infusión nos gustaría preguntarle por correo electrónico cómo está. El correo electrónico"
            " común no está cifrado: en el camino, o en un dispositivo que comparta, otras personas podrían leerlo."
            " Nuestros mensajes no nombran ninguna enfermedad, ningún medicamento ni ninguna molestia; cada uno tiene"
            " un enlace a una página en la que usted responde. No está obligado a aceptar: su tratamiento sigue igual,"
            " y podemos llamarle por teléfono. Puede detener los mensajes en cualquier momento, con un enlace que está"
            " en cada uno de ellos o diciéndonoslo."
        ),
    },
}
CURRENT = "2"


def read_in(language: str) -> str:
    """What a record keeps of the present text when it is read in this language, such as “2:es”."""
    return f"{CURRENT}:{language if language in TEXTS[CURRENT] else 'en'}"


def words_of(kept: str) -> tuple[str, str]:
    """The words that were read, and their language; both empty where nothing was, or nobody knows the text any more.

    Of text 1, whose language nobody wrote down, there was only the English one.
    """
    version, _, language = kept.partition(":")
    language = language or "en"
    words = TEXTS.get(version, {}).get(language, "")
    return words, language if words else ""
