package mediafile

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func encoded(b *testing.B) []byte {
	testtools.Need(b, "ffmpeg")
	data, err := os.ReadFile(encode(b, "a.mkv", slices.Concat(h264, aac)...))
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkOpenMatroska(b *testing.B) {
	r := bytes.NewReader(encoded(b))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Seek(0, io.SeekStart)
		if _, err := Open(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadMatroska(b *testing.B) {
	data := encoded(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(bytes.NewReader(data))
		for err == nil {
			_, err = f.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
