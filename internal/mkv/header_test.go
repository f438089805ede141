package mkv

import (
	"testing"
	"time"
)

// BenchmarkHeader is what each segment costs before its first fragment.
func BenchmarkHeader(b *testing.B) {
	h := goldenHeader()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewWriter(discard{}, h, WriterOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFinish is what each segment costs behind its last fragment: 5 min of fragments of 2 s.
func BenchmarkFinish(b *testing.B) {
	fragments := make([]Fragment, 150)
	for i := range fragments {
		at := time.Duration(i) * 2 * time.Second
		fragments[i] = Fragment{Offset: int64(i) << 20, Size: 1 << 20, Start: at, Last: at + 1960*time.Millisecond, Frames: 50, Keyframe: true}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := finish(discard{}, layout{segmentData: 59}, 150<<20, contents{fragments: fragments}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTags is what each fragment with tags costs.
func BenchmarkTags(b *testing.B) {
	tags := []Tag{{"AWS_KINESISVIDEO_NOTIFICATION", ""}, {"place", "gate 4"}}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendTags(dst[:0], tags)
	}
}
