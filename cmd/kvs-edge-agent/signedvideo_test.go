package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// The UUIDs of the SEI messages with signatures: ONVIF Media Signing, and Axis ("Signed Video...0"). Sources:
// github.com/onvif/media-signing-framework, lib/src/oms_common.c; github.com/AxisCommunications/signed-video-framework, README.md.
var signingUUIDs = []string{"005bc93f2d715e95ada4796f90877a6f", "5369676e656420566964656f2e2e2e30"}

// signedFilm is a film whose pictures each have an SEI message before their slices, as cameras that sign have them, and with H.265
// one behind them; and the NAL units of each picture that have to arrive: all but parameter sets, each with its length.
func signedFilm(t *testing.T, isH265 bool) (film []byte, pictures [][]byte) {
	t.Helper()
	args := "-v error -f lavfi -i testsrc2=size=320x240:rate=25:duration=2 -pix_fmt yuv420p -bf 0 -g 10 "
	if isH265 {
		args += "-c:v libx265 -preset ultrafast -x265-params keyint=10:min-keyint=10:scenecut=0:bframes=0:log-level=error:info=0 -f hevc -"
	} else {
		args += "-c:v libx264 -preset ultrafast -keyint_min 10 -sc_threshold 0 -x264-params slices=3 -f h264 -"
	}
	plain, err := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields(args)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	add := func(unit []byte, kept bool) {
		film = append(append(film, 0, 0, 0, 1), unit...)
		if kept {
			last := &pictures[len(pictures)-1]
			*last = append(binary.BigEndian.AppendUint32(*last, uint32(len(unit))), unit...)
		}
	}
	units := nal.SplitAnnexB(plain)
	for i, unit := range units {
		slice, first := isSlice(unit, isH265)
		kind := unit[0] & 0x1f
		if isH265 {
			kind = unit[0] >> 1 & 0x3f
		}
		switch {
		case slice && first:
			pictures = append(pictures, nil)
			add(signature(t, len(pictures), isH265, nal.H265PrefixSEI), true)
			add(unit, true)
		case slice:
			add(unit, true)
		case isH265 && kind == nal.H265PrefixSEI, !isH265 && kind == nal.H264SEI: // the encoder's own
		default:
			add(unit, false)
		}
		if isH265 && slice && (i+1 == len(units) || !isLaterSlice(units[i+1])) {
			add(signature(t, 1000+len(pictures), true, nal.H265SuffixSEI), true)
		}
	}
	return film, pictures
}

// isSlice reports whether a NAL unit is a slice, and the first one of a picture.
func isSlice(unit []byte, isH265 bool) (slice, first bool) {
	if isH265 {
		return unit[0]>>1&0x3f <= nal.H265LastVCL, unit[2]&0x80 != 0
	}
	kind := unit[0] & 0x1f
	return kind == nal.H264Slice || kind == nal.H264IDR, unit[1]&0x80 != 0
}

func isLaterSlice(unit []byte) bool {
	slice, first := isSlice(unit, true)
	return slice && !first
}

// signature is an SEI message of user data without registration (type 5), with one of the UUIDs, a number, and bytes that need the
// prevention of emulation.
func signature(t *testing.T, number int, isH265 bool, kind byte) []byte {
	t.Helper()
	uuid, err := hex.DecodeString(signingUUIDs[number%2])
	if err != nil {
		t.Fatal(err)
	}
	payload := append(uuid, fmt.Sprintf("signature of picture %d ", number)...)
	payload = append(payload, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0xff) // 00 00 01 00 00 00 00 03 ff, as it is sent
	unit := []byte{nal.H264SEI}
	if isH265 {
		unit = []byte{kind << 1, 1}
	}
	return append(append(append(unit, 5, byte(len(payload)-3)), payload...), 0x80)
}

// inOrder returns how many pictures in a row data has, beginning with any of them, and whether each is there whole.
func inOrder(data []byte, pictures [][]byte) (n int, err error) {
	start, at := -1, -1
	for i, p := range pictures {
		if found := bytes.Index(data, p); found >= 0 && (at < 0 || found < at) {
			start, at = i, found
		}
	}
	if start < 0 {
		return 0, errors.New("no picture is there whole")
	}
	signatures := bytes.Count(data, []byte("signature of picture "))
	for ; ; n++ {
		p := pictures[(start+n)%len(pictures)]
		found := bytes.Index(data, p)
		if found < 0 {
			break
		}
		data = data[found+len(p):]
	}
	if per := bytes.Count(pictures[0], []byte("signature of picture ")); signatures != n*per {
		return n, fmt.Errorf("%d pictures are complete and in order, and there are %d signatures, %d of each", n, signatures, per)
	}
	return n, nil
}

// TestSignedVideoStaysAsItIs from the camera to the store, the cloud, and exports of each kind: slices and the messages that sign them,
// byte for byte and in their order. The agent signs the evidence.
func TestSignedVideoStaysAsItIs(t *testing.T) { inWorlds(t, signedVideoStaysAsItIs) }

func signedVideoStaysAsItIs(t *testing.T, w world) {
	testtools.Need(t, "ffmpeg")
	for name, isH265 := range map[string]bool{"H.264": false, "H.265": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			film, pictures := signedFilm(t, isH265)
			if len(pictures) != 50 {
				t.Fatalf("the film has %d pictures", len(pictures))
			}
			s := newSite(t, w)
			camera := startCamera(t, fakecam.Options{Film: film, H265: isH265, NoStamps: true})
			s.configure("door", camera.URL())
			s.startAgent()
			if err := s.cloud.Media().AwaitFragments(t.Context(), "door", 6); err != nil {
				t.Fatal(err)
			}
			var cloud []byte
			for frame, err := range s.cloud.Media().Frames("door") {
				if err != nil {
					t.Fatal(err)
				}
				cloud = append(cloud, frame.Data...)
			}
			arrived := map[string][]byte{"the cloud": cloud}
			for _, file := range []string{"out.mkv", "out.mp4", "out.zip"} {
				args := []string{"export", "--socket", s.agent.socket, "--stream", "door", filepath.Join(s.dir, file)}
				if file == "out.zip" {
					args = append(args, "--evidence")
				}
				if _, stderr, code := s.command(args...); code != 0 {
					t.Fatalf("%s: %s", file, stderr)
				}
				data, err := os.ReadFile(filepath.Join(s.dir, file))
				if err != nil {
					t.Fatal(err)
				}
				arrived[file] = data
			}
			s.stopAgent()
			files, err := filepath.Glob(filepath.Join(s.recordings(), "door", "*.mkv"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range files {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				arrived["the store"] = append(arrived["the store"], data...)
			}
			for where, data := range arrived {
				n, err := inOrder(data, pictures)
				if err != nil || n < 100 {
					t.Errorf("%s: %d pictures in order: %v", where, n, err)
				}
			}
			out, stderr, code := s.command("verify", "--evidence", filepath.Join(s.dir, "out.zip"))
			if code != exitUnknownSigner || !strings.Contains(out, "intact") {
				t.Errorf("the evidence: %d %s%s", code, out, stderr)
			}
		})
	}
}
