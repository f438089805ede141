package receipt

import "testing"

// TestHowMuchReceiptsMayUse: half a per cent of the stream's space, within two bounds.
func TestHowMuchReceiptsMayUse(t *testing.T) {
	t.Parallel()
	for space, want := range map[int64]int64{
		0: 64_000_000, 1 << 50: 64_000_000, 12_800_000_200: 64_000_000, 12_799_999_800: 63_999_999, 2_000_000_000: 10_000_000,
		100_000_000: 524_288, 1: 524_288,
	} {
		s := New(Options{Dir: t.TempDir(), Space: func(string) int64 { return space }})
		if got := s.limit("door"); got != want {
			t.Errorf("of %d bytes receipts may use %d, want %d", space, got, want)
		}
	}
	if got := New(Options{Dir: t.TempDir()}).limit("door"); got != 64_000_000 {
		t.Errorf("of an unknown space they may use %d", got)
	}
}
