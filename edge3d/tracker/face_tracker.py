"""Faces through a video: where the next crop is, whether a face is still there, who it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edge3d.detector import crop_box
from edge3d.geometry.boxes import box_iou, landmark_box
from edge3d.geometry.crop import crop_face
from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.tracker.evidence import Appearance, AppearanceSampler, is_doubtful
from edge3d.tracker.smoothing import FaceSmoother, Smoothing
from edge3d.tracker.track import Seen, Track, rounded

# A face without doubt is looked at by the small detector this often; when a look fails, the next
# frame looks again, and the second failure loses the face.
LOOK_EVERY_S = 0.25
# The detector's scores below which a doubtful face is lost, and one without doubt fails its look.
DOUBTFUL_SCORE, FOLLOWED_SCORE = 0.5, 0.3
# How far around is looked, in sides of the crop; a doubtful face may just be fast.
CLOSE_LOOK, WIDE_LOOK = 1.7, 2.2

# The whole frame is searched for new faces this often, and more often for a while after a loss.
SEARCH_EVERY_S, SEARCH_LOST_EVERY_S, SEARCH_LOST_FOR_S = 1.0, 0.2, 2.0

# Crop boxes that overlap more than this (intersection over union) are one face.
SAME_PLACE_IOU = 0.35
# Two followed faces that come to overlap more than this are one: the other is hidden behind it.
HIDDEN_IOU = 0.55

# A face that comes back is the one that was lost if it looks like it (see `Appearance`); hardly
# anything is asked for when it is where that one was lost a moment ago: it may be half covered.
SAME_LOOK, SAME_LOOK_NEARBY, NEARBY_FOR_S = 0.75, 0.1, 1.0
# An appearance is learned from a look like this one or better.
LEARNED_LOOK = 0.5
REMEMBER_FOR_S, REMEMBER_FACES = 30.0, 16

# Where the caller gives no time, and where its times do not rise.
DEFAULT_STEP_S, SHORTEST_STEP_S = 1 / 30, 1e-3


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face of one frame of a video.

    Attributes:
        id: 1, 2, ...; the same for the same face, never given twice.
        face: the reconstruction, smoothed if the tracker smooths.
        detected: whether the crop comes from the detector rather than from the last landmarks.
    """

    id: int
    face: Face
    detected: bool


@dataclass
class TrackCounts:
    """What was done so far.

    Attributes:
        frames: given to `update`.
        searches: frames for which the whole frame was searched by the detector.
        looks: single looks of the small detector at a followed face.
        crops: crops that the network saw.
    """

    frames: int = 0
    searches: int = 0
    looks: int = 0
    crops: int = 0


class FaceTracker:
    """Follows the faces of a video or a camera.

    The detector searches the first frame, a frame in which a face is lost or none is followed,
    and now and then one for new faces. In between a face's crop is the protocol's box of its last
    landmarks, moved on with its motion.

    Args:
        reconstructor: network, face model and detector; None makes the bundled one. For video a
            detector with a `min_face_fraction` of 0.1 is much faster than the default.
        smoothing: how faces are smoothed over time, or None for each frame by itself: a frame's
            face is then `reconstructor.reconstruct(frame, [face.box_xyxy])`, to the last digit.
        max_faces: at most so many are followed, the most prominent first.

    Attributes:
        counts: what was done so far.
    """

    def __init__(
        self,
        reconstructor: FaceReconstructor | None = None,
        smoothing: Smoothing | None = Smoothing(),  # noqa: B008 (frozen)
        max_faces: int = 4,
    ) -> None:
        if max_faces < 1:
            raise ValueError(f"max_faces is {max_faces}; at least 1")
        self.reconstructor = reconstructor or FaceReconstructor()
        self.counts = TrackCounts()
        self._smoothing = smoothing
        self._max_faces = max_faces
        self._sampler = AppearanceSampler(self.reconstructor.face_model)
        self._followed: list[Track] = []
        self._lost: list[Track] = []
        self._next_id = 1
        self._time_s: float | None = None
        self._searched_s = -np.inf
        self._size_hw = (0, 0)

    @property
    def faces_seen(self) -> int:
        """How many faces there were so far."""
        return self._next_id - 1

    def update(
        self, image_rgb: NDArray[np.uint8], time_s: float | None = None
    ) -> list[TrackedFace]:
        """Return the faces of the next frame, by id.

        Args:
            image_rgb: (H, W, 3) uint8 RGB.
            time_s: when it was taken, seconds from any start. Times that do not rise are moved
                on by a millisecond. None takes 1/30 s after the frame before.

        Raises:
            ValueError: the picture is not (H, W, 3) uint8, or the time is not finite.
        """
        now = self._rising(time_s)
        self._size_hw = (image_rgb.shape[0], image_rgb.shape[1])
        self.counts.frames += 1
        before = len(self._followed)
        self._follow(image_rgb, now)
        self._leave_hidden()
        if self._search_is_due(now, lost_one=len(self._followed) < before):
            self._search(image_rgb, now)
        self._lost = [t for t in self._lost if now - t.seen_s < REMEMBER_FOR_S][-REMEMBER_FACES:]
        self._followed.sort(key=lambda track: track.id)
        return [self._result(track, now) for track in self._followed]

    # Following ----------------------------------------------------------------------------------

    def _follow(self, image: NDArray[np.uint8], now: float) -> None:
        """Take each followed face to this frame, or move it to the lost ones."""
        tracks = self._followed
        crops = self._look(image, [track.next_box(now) for track in tracks])
        self._followed = []
        for track, seen in zip(tracks, crops, strict=True):
            track.detected = False
            confirmed = self._confirmed(track, seen, image, now)
            if confirmed is None:
                self._lost.append(track)
            else:
                track.move(confirmed, now)
                self._followed.append(track)

    def _confirmed(
        self, track: Track, seen: Seen, image: NDArray[np.uint8], now: float
    ) -> Seen | None:
        """Return where the face of a track is in this frame, or None if it is not there."""
        doubtful = is_doubtful(seen.box_xyxy, seen.landmarks_px, track.seen.landmarks_px)
        if not doubtful and not track.failed_looks and now - track.looked_s < LOOK_EVERY_S:
            return seen
        self.counts.looks += 1
        found = self.reconstructor.detector.look_near(
            image,
            seen.box_xyxy if doubtful else seen.own_box,
            WIDE_LOOK if doubtful else CLOSE_LOOK,
        )
        if found is None or found.score < (DOUBTFUL_SCORE if doubtful else FOLLOWED_SCORE):
            track.failed_looks += 1
            return None if doubtful or track.failed_looks > 1 else seen
        place = rounded(crop_box(found))
        if box_iou(place, seen.own_box) < SAME_PLACE_IOU:
            (seen,) = self._look(image, [place])
            if is_doubtful(place, seen.landmarks_px, None):
                return None
            track.detected = True
        track.failed_looks, track.looked_s, track.score = 0, now, found.score
        self._learn_appearance(track, seen)
        return seen

    def _learn_appearance(self, track: Track, seen: Seen) -> None:
        """Keep up with a face's appearance, unless another one is in its crop."""
        boxes = [other.seen.own_box for other in self._followed if other is not track]
        if boxes and box_iou(seen.own_box, np.array(boxes)).max() > 0:
            return
        appearance = self._appearance(self._decoded(seen, track.score))
        if track.appearance.likeness(appearance) > LEARNED_LOOK:
            track.appearance = track.appearance.updated(appearance)

    def _leave_hidden(self) -> None:
        """Of two followed faces at one place, lose the one that the picture does not show."""
        for one, two in combinations(tuple(self._followed), 2):
            if one not in self._followed or two not in self._followed:
                continue
            if box_iou(one.seen.own_box, two.seen.own_box) > HIDDEN_IOU:
                likeness = [
                    track.appearance.likeness(
                        self._sampler.sample(self._decoded(track.seen, 1.0), self._size_hw)
                    )
                    for track in (one, two)
                ]
                hidden = one if likeness[0] < likeness[1] else two
                self._followed.remove(hidden)
                self._lost.append(hidden)

    # Searching ----------------------------------------------------------------------------------

    def _search_is_due(self, now: float, lost_one: bool) -> bool:
        if not self._followed or lost_one:
            return True
        if len(self._followed) >= self._max_faces:
            return False
        recent = any(now - track.seen_s < SEARCH_LOST_FOR_S for track in self._lost)
        return now - self._searched_s >= (SEARCH_LOST_EVERY_S if recent else SEARCH_EVERY_S)

    def _search(self, image: NDArray[np.uint8], now: float) -> None:
        """Look for faces that are not followed yet: new ones, and lost ones that are back."""
        self.counts.searches += 1
        self._searched_s = now
        known = np.array([track.seen.own_box for track in self._followed]).reshape(-1, 4)
        boxes, scores = [], []
        for detection in self.reconstructor.detector.detect(image):
            box = rounded(crop_box(detection))
            if (box_iou(box, known) < SAME_PLACE_IOU).all():
                boxes.append(box)
                scores.append(detection.score)
        boxes = boxes[: self._max_faces - len(self._followed)]
        crops = self._look(image, boxes)
        faces = [self._decoded(seen, score) for seen, score in zip(crops, scores, strict=False)]
        appearances = [self._appearance(face) for face in faces]
        returned = self._recognised(boxes, appearances, now)
        for index, seen in enumerate(crops):
            score, appearance = scores[index], appearances[index]
            track = returned.get(index)
            if track is None:
                smoother = self._new_smoother()
                track = Track(self._next_id, seen, score, now, now, appearance, smoother)
                self._next_id += 1
            else:
                self._lost.remove(track)
                track.seen, track.score, track.seen_s, track.looked_s = seen, score, now, now
                track.velocity, track.failed_looks, track.detected = np.zeros(2), 0, True
            self._followed.append(track)

    def _recognised(
        self, boxes: list[NDArray], appearances: list[Appearance], now: float
    ) -> dict[int, Track]:
        """Return which faces are lost ones that are back: index to track, the most alike first."""
        pairs = []
        for index, (box, appearance) in enumerate(zip(boxes, appearances, strict=True)):
            for track in self._lost:
                recent = now - track.seen_s < NEARBY_FOR_S
                nearby = recent and box_iou(box, track.seen.own_box) > 0
                likeness = track.appearance.likeness(appearance)
                if likeness > (SAME_LOOK_NEARBY if nearby else SAME_LOOK):
                    pairs.append((likeness, index, track))
        matched: dict[int, Track] = {}
        for _, index, track in sorted(pairs, key=lambda pair: -pair[0]):
            if index not in matched and track not in matched.values():
                matched[index] = track
        return matched

    # The rest -----------------------------------------------------------------------------------

    def _look(self, image: NDArray[np.uint8], boxes: list[NDArray[np.float64]]) -> list[Seen]:
        """Return what the network says of the crops of some boxes."""
        if not boxes:
            return []
        self.counts.crops += len(boxes)
        decoder = self.reconstructor.decoder
        crops = [crop_face(image, box) for box in boxes]
        params = decoder.params(self.reconstructor.runner(np.stack([c.pixels for c in crops])))
        points = [
            crop.points_to_frame(landmarks)
            for crop, landmarks in zip(crops, decoder.landmarks(params), strict=True)
        ]
        return [
            Seen(box, crop, one, landmarks, landmark_box(landmarks))
            for box, crop, one, landmarks in zip(boxes, crops, params, points, strict=True)
        ]

    def _result(self, track: Track, now: float) -> TrackedFace:
        seen, smoother = track.seen, track.smoother
        if smoother is None:
            face = self._decoded(seen, track.score)
        else:
            params = smoother.smooth(seen.params, seen.crop, now)
            face = self._decoded(replace(seen, params=params), track.score, smoother.identity_shape)
        return TrackedFace(id=track.id, face=face, detected=track.detected)

    def _decoded(
        self, seen: Seen, score: float, identity_shape: NDArray[np.float32] | None = None
    ) -> Face:
        (face,) = self.reconstructor.decode_crops(
            seen.params[None], [seen.crop], [seen.box_xyxy], [score], identity_shape
        )
        return face

    def _appearance(self, face: Face) -> Appearance:
        return self._sampler.sample(face, self._size_hw)

    def _new_smoother(self) -> FaceSmoother | None:
        if self._smoothing is None:
            return None
        return FaceSmoother(self.reconstructor.decoder, self._smoothing)

    def _rising(self, time_s: float | None) -> float:
        """Return the frame's time, later than the last one's."""
        last = self._time_s
        if time_s is None:
            time_s = 0.0 if last is None else last + DEFAULT_STEP_S
        if not np.isfinite(time_s):
            raise ValueError(f"the frame's time is {time_s}; give seconds")
        self._time_s = time_s if last is None else max(time_s, last + SHORTEST_STEP_S)
        return self._time_s
