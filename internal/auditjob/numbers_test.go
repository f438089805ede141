package auditjob_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/auditjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// TestTheNumberOfEachFragmentIsFound asks for fragments of two days, in order and then back, and on another stream.
func TestTheNumberOfEachFragmentIsFound(t *testing.T) {
	t.Parallel()
	jobs := auditjob.Open(auditjob.Options{Dir: t.TempDir(), Log: zap.NewNop(),
		Policy: func(string) (retention.Policy, bool) { return retention.Policy{MaxBytes: 1 << 40}, true }})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- jobs.Receipts.Run(ctx) }()
	begin := time.Date(2026, 11, 21, 4, 0, 0, 123e6, time.UTC)
	at := func(i int) time.Time { return begin.Add(time.Duration(i) * 90 * time.Second) }
	number := func(stream, i int) string {
		return fmt.Sprintf("9134385233318143239268206260774392014626%07d", 1000*stream+i)
	}
	const fragments = 1900
	keep := []func(receipt.Receipt){jobs.Keep("door"), jobs.Keep("yard")}
	note := func(stream, i int, number string, acked time.Time) {
		keep[stream](receipt.Receipt{Producer: at(i), Length: time.Second, Bytes: 1000, Number: number, Acked: acked})
	}
	for i := range fragments {
		note(0, i, number(0, i), at(i).Add(time.Second))
	}
	note(1, 7, number(1, 7), at(7).Add(time.Second))
	// One was sent twice: the later number counts.
	note(0, 5, number(1, 999), at(fragments))
	// Of two recordings of the same time it is not known which is asked for.
	keep[1](receipt.Receipt{Producer: at(9), Length: time.Second, Bytes: 1000, Number: number(1, 9), Acked: at(10)})
	keep[1](receipt.Receipt{Producer: at(9), Length: time.Second, Bytes: 1000, Number: number(1, 10), Acked: at(11), Epoch: 1})
	keep[1](receipt.Receipt{Producer: at(9), Length: time.Second, Bytes: 1000, Number: number(1, 11), Acked: at(12), Epoch: 1})
	if err := jobs.Receipts.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	find := jobs.Numbers()
	expect := func(stream string, i int, want string) {
		t.Helper()
		if got, ok := find(stream, at(i)); got != want || ok != (want != "") {
			t.Fatalf("fragment %d of %s: %q, %v; want %q", i, stream, got, ok, want)
		}
	}
	for i := range fragments {
		if i != 5 {
			expect("door", i, number(0, i))
		}
	}
	expect("door", 5, number(1, 999))
	expect("yard", 7, number(1, 7))
	expect("yard", 8, "")
	expect("yard", 9, "")
	expect("door", 8, number(0, 8))
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
