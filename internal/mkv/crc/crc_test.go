package crc_test

import (
	"hash/crc32"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/crc"
)

func sum(parts ...[]byte) uint32 { return crc32.ChecksumIEEE(slices.Concat(parts...)) }

// TestAChecksumFollowsFromAnother: that of bytes that follow another head.
func TestAChecksumFollowsFromAnother(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 30).Draw(t, "head")
		bytesOf := func(name string, n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name) }
		first, second, rest := bytesOf("first", size), bytesOf("second", size), rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "rest")
		want := sum(second, rest)
		got := sum(first, rest) ^ crc.Shift(sum(first)^sum(second), int64(len(rest)))
		if got != want {
			t.Fatalf("got %08x, want %08x", got, want)
		}
	})
}
