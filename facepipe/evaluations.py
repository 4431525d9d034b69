"""The field's protocols, end to end: photos through the pipeline's own stages, figures from `evaluation`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.library.scan_sources import list_sources
from facepipe.library.uris import path_to_uri, uri_to_path
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress
from facepipe.stage import Stage
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.pick_central_face import PickCentralFace
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of


def evaluate_lfw(images: Path, pairs: Path, config: Config, engine: Engine) -> dict[str, Any]: ...
def evaluate_detection(images: Path, boxes: Path, config: Config, engine: Engine) -> dict[str, Any]: ...
def evaluate_clustering(images: Path, config: Config, engine: Engine) -> dict[str, Any]: ...
