#!/bin/sh
# Makes the embedded clips: run it in this directory, with an ffmpeg that has libx264.
# The files are committed so that builds and tests need no encoder.
set -eu

# encode SIZE SECONDS BITRATE PROFILE LEVEL FILE: 25 frames/s, one keyframe each second, no B-frames.
# SEI and access unit delimiters are removed: the camera adds its own SEI to each access unit.
encode() {
	ffmpeg -v error -y -f lavfi -i "testsrc2=size=$1:rate=25" -t "$2" \
		-c:v libx264 -profile:v "$4" -level "$5" -refs 2 -pix_fmt yuv420p -preset slow -threads 1 \
		-g 25 -keyint_min 25 -sc_threshold 0 -bf 0 \
		-b:v "$3" -maxrate "$3" -bufsize "$3" \
		-bsf:v 'filter_units=remove_types=6|9' -f h264 "$6"
}

encode 1920x1080 5 680k high 4.0 clip.h264
encode 1280x720 4 320k main 3.1 clip720.h264

# RTP carries no Huffman tables (RFC 2435), so the picture uses the default ones. Readers expect
# two quantization tables, and ffmpeg writes a second one only when it differs from the first.
flat=16$(printf ',16%.0s' $(seq 63))
ffmpeg -v error -y -f lavfi -i testsrc2=size=640x360:rate=25 -frames:v 1 \
	-pix_fmt yuvj420p -c:v mjpeg -huffman default -chroma_intra_matrix "$flat" -q:v 6 -bitexact clip.jpg

# The film of H.265 cameras: small, as it is there for its syntax.
ffmpeg -v error -y -f lavfi -i testsrc2=size=640x360:rate=25:duration=1 -c:v libx265 -preset medium \
  -x265-params keyint=25:min-keyint=25:bframes=0:info=0:log-level=error:repeat-headers=1 -crf 38 \
  -pix_fmt yuv420p -f hevc clip.h265
