#!/bin/sh
# Makes the embedded clips: run it in this directory, with an ffmpeg that has libx264.
# The files are committed so that builds and tests need no encoder.
set -eu

# The pictures lack their top row of 16 pixels, which the camera makes itself (row.go), and begin with 48 grey
# rows that nothing moves into: motion reaches 32 pixels at most. What rewriting slice headers would make
# difficult is off: several slices, weights, wavefronts, quantizers that change within a picture.

# encode WIDTH HEIGHT SECONDS BITRATE PROFILE LEVEL FILE: 25 frames/s, one keyframe each second, no B-frames.
# SEI and access unit delimiters are removed: the camera adds its own SEI to each access unit.
encode() {
	ffmpeg -v error -y -f lavfi -i "$(picture "$1" "$2")" -t "$3" \
		-c:v libx264 -profile:v "$5" -level "$6" -refs 2 -pix_fmt yuv420p -preset slow -threads 1 \
		-g 25 -keyint_min 25 -sc_threshold 0 -bf 0 -x264-params weightp=0:mvrange=32 \
		-b:v "$4" -maxrate "$4" -bufsize "$4" \
		-bsf:v 'filter_units=remove_types=6|9' -f h264 "$7"
}

# picture WIDTH HEIGHT: the source of pictures that have that size with their top row.
picture() {
	echo "testsrc2=size=$1x$(($2 - 64)):rate=25,format=yuv420p,pad=$1:$(($2 - 16)):0:48:0x828282"
}

encode 1920 1080 5 680k high 4.0 clip.h264
encode 1280 720 4 319k main 3.1 clip720.h264

# RTP carries no Huffman tables (RFC 2435), so the picture uses the default ones. Readers expect
# two quantization tables, and ffmpeg writes a second one only when it differs from the first.
flat=16$(printf ',16%.0s' $(seq 63))
ffmpeg -v error -y -f lavfi -i testsrc2=size=640x360:rate=25 -frames:v 1 \
	-pix_fmt yuvj420p -c:v mjpeg -huffman default -chroma_intra_matrix "$flat" -q:v 6 -bitexact clip.jpg

# The film of H.265 cameras: small, as it is there for its syntax.
ffmpeg -v error -y -f lavfi -i "$(picture 640 360)" -t 1 -c:v libx265 -preset medium \
  -x265-params "keyint=25:min-keyint=25:bframes=0:info=0:log-level=error:repeat-headers=1:ctu=16:no-wpp=1:weightp=0:\
aq-mode=0:no-cutree=1:pools=1:frame-threads=1" -crf 40.8 -pix_fmt yuv420p -f hevc clip.h265
