"""Exported models on the Hugging Face hub."""

from pathlib import Path

from ...core.errors import ResourceError, UsageError
from .diffusers import INDEX

CARD = "README.md"
FILES = (CARD, "*.json", "*.safetensors")
"""What is sent of a folder."""


def push(folder: Path, repository: str, *, private: bool = False) -> str:
    """Sends an exported folder to a repository of the hub, which is made if need be, and returns its address.

    The hub knows its user by `hf auth login` or HF_TOKEN. With HF_HUB_OFFLINE = 1 nothing is sent.

    Args:
        folder: The folder, as `export` writes it.
        repository: OWNER/NAME.
        private: Whether a repository that is made is private.

    Raises:
        UsageError: The folder is no exported model, or the name is none.
        ResourceError: huggingface_hub is not installed, it is to stay offline, or the hub does not take it.
    """
    if missing := next((name for name in (INDEX, CARD) if not (folder / name).is_file()), None):
        raise UsageError(f"{folder} holds no {missing}: make the folder with `scoresde export MODEL --out {folder}`")
    owner, slash, name = repository.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise UsageError(f"a repository is named OWNER/NAME, got {repository!r}")
    try:
        from huggingface_hub import HfApi, constants
    except ImportError:
        raise ResourceError("this needs the package huggingface_hub: pip install 'scoresde[hub]'") from None
    if constants.HF_HUB_OFFLINE:
        raise ResourceError("HF_HUB_OFFLINE is set, so nothing is sent to the hub: unset it to send the model")
    api, message = HfApi(library_name="scoresde"), "Model exported by scoresde"
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=list(FILES), commit_message=message)
    except Exception as error:  # of many kinds: no network, no token, no right to write there
        reason = " ".join(str(error).split())[:200]
        raise ResourceError(f"the hub did not take {folder} as {repository}: {reason}") from None
    return f"https://huggingface.co/{repository}"
