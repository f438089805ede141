package mediafile

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestSoundOfFilesIsRecorded has ffmpeg encode two seconds of audio in every codec that a container may have, records that, and
// has ffmpeg decode the recording: without an error, and of the same length.
func TestSoundOfFilesIsRecorded(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	for name, row := range map[string]struct {
		file      string
		arguments []string
		codec     string // as ffprobe names it
		name      string
	}{
		"MP4, AAC 5.1":           {"a.mp4", []string{"-c:a", "aac", "-ac", "6"}, "aac", "AAC with 6 channels"},
		"MP4, AAC LTP":           {"a.mp4", []string{"-c:a", "aac", "-profile:a", "aac_ltp", "-strict", "-2"}, "aac", "AAC LTP"},
		"MP4, MP3":               {"a.mp4", []string{"-c:a", "libmp3lame"}, "mp3", "MP3"},
		"MP4, MP2":               {"a.mp4", []string{"-c:a", "mp2"}, "mp2", "MP2"},
		"MP4, AC-3":              {"a.mp4", []string{"-c:a", "ac3", "-ac", "6"}, "ac3", "AC-3"},
		"MP4, E-AC-3":            {"a.mp4", []string{"-c:a", "eac3", "-ac", "2"}, "eac3", "E-AC-3"},
		"MP4, Opus":              {"a.mp4", []string{"-c:a", "libopus"}, "opus", "Opus"},
		"MP4, FLAC":              {"a.mp4", []string{"-c:a", "flac", "-strict", "-2"}, "flac", "FLAC"},
		"MP4, ALAC":              {"a.mp4", []string{"-c:a", "alac"}, "alac", "ALAC"},
		"MP4, fragments of Opus": {"a.mp4", []string{"-c:a", "libopus", "-movflags", "frag_keyframe+empty_moov"}, "opus", "Opus"},
		"MOV, PCM":               {"a.mov", []string{"-c:a", "pcm_s16le", "-ac", "2"}, "pcm_s16le", "LPCM"},
		"MOV, PCM of 24 bits":    {"a.mov", []string{"-c:a", "pcm_s24be"}, "pcm_s24be", "LPCM"},
		"MOV, PCM of floats":     {"a.mov", []string{"-c:a", "pcm_f32le", "-ac", "6"}, "pcm_f32le", "LPCM"},
		"MOV, A-law":             {"a.mov", []string{"-c:a", "pcm_alaw", "-ar", "8000"}, "pcm_alaw", "G.711"},
		"MOV, fragments of PCM":  {"a.mov", []string{"-c:a", "pcm_s16le", "-movflags", "frag_keyframe"}, "pcm_s16le", "LPCM"},
		"MKV, Opus":              {"a.mkv", []string{"-c:a", "libopus", "-ac", "2"}, "opus", "Opus"},
		"MKV, MP3":               {"a.mkv", []string{"-c:a", "libmp3lame"}, "mp3", "MP3"},
		"MKV, AC-3":              {"a.mkv", []string{"-c:a", "ac3"}, "ac3", "AC-3"},
		"MKV, PCM":               {"a.mkv", []string{"-c:a", "pcm_s16be", "-ac", "2"}, "pcm_s16be", "LPCM"},
		"MKV, PCM of 8 bits":     {"a.mkv", []string{"-c:a", "pcm_u8"}, "pcm_u8", "LPCM"},
		"MKV, FLAC":              {"a.mkv", []string{"-c:a", "flac"}, "flac", "FLAC"},
		"MKV, Vorbis":            {"a.mkv", []string{"-c:a", "libvorbis"}, "vorbis", "VORBIS"},
		"MKV, G.726":             {"a.mkv", []string{"-c:a", "g726", "-ar", "8000", "-ac", "1"}, "adpcm_g726", "G.726"},
		"MKV, G.722":             {"a.mkv", []string{"-c:a", "g722", "-ar", "16000", "-ac", "1"}, "adpcm_g722", "G.722"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := encode(t, row.file, slices.Concat(h264, row.arguments)...)
			f := open(t, path)
			if f.Audio == nil || f.Audio.Name() != row.name {
				t.Fatalf("the audio is %+v", f.Audio)
			}
			copied := filepath.Join(t.TempDir(), "copied.mkv")
			copySound(t, f, copied)
			codec, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", copied).CombinedOutput()
			if string(codec) != row.codec+"\n" || err != nil {
				t.Errorf("ffprobe finds %q: %v", codec, err)
			}
			want, got := decoded(t, path), decoded(t, copied)
			if missing := want - got; missing < -100*time.Millisecond || missing > 100*time.Millisecond {
				t.Errorf("%s of it are recorded, want %s", got, want)
			}
		})
	}
}

// copySound writes the audio of a file as a recording does.
func copySound(t *testing.T, f *File, path string) {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w, err := mkv.NewWriter(out, mkv.Header{Start: start, Title: "door", Tracks: []mkv.Track{f.Audio.Track(1)}}, mkv.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if frame.Audio {
			if err := w.WriteFrame(1, max(frame.At, 0), true, [][]byte{frame.Data}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// decoded returns the duration of a file's audio, as ffmpeg decodes it.
func decoded(t *testing.T, path string) time.Duration {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", "8000", "-")
	samples, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("ffmpeg: %s", failed.Stderr)
	}
	return time.Duration(len(samples)/2) * time.Second / 8000
}
