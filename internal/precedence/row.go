package precedence

import (
	"context"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// Row is what a source says of itself. Everything that depends on a source reads its row, so that one which is
// added is known everywhere.
type Row struct {
	// Origins are those of its streams. Each belongs to one source. Required.
	Origins []desired.Origin
	// Restored is what it wanted before this start, as far as the disk has that. It is in force for the others until the
	// source applies something, so that none of them takes its streams.
	Restored desired.Set
	// Sync says how its configuration of a stream fares. It must not wait, and is called from any goroutine. Required.
	Sync func(stream string) edgeconfig.SyncStatus
	// Deletion is a sentence for people: why the media of a stream that it wants cannot be deleted, and how it can. Required.
	Deletion func(stream string) string
	// Place is where the URL of a stream's media is written, where the source holds that itself and not in a secret. It must not
	// wait. Optional.
	Place func(stream string) address.Place
	// Await says in a clause what to do as long as it is not known what the source wants, "wait until ...". Required.
	Await string
	// Refused says in a clause what to do about a stream that it wants, but nobody can tell how. Required.
	Refused string

	// Start makes run what the source wanted before, if the tasks do not. Optional.
	Start func(ctx context.Context)
	// Tasks follow the source. They begin after Start and are called again when they panic.
	Tasks []Task
	// Loaded is closed when the source has applied what it found at its start, for which those behind it wait. Default:
	// nobody waits.
	Loaded <-chan struct{}
	// Retry tries at once what the hub was not allowed to do. It must not wait. Optional.
	Retry func()
	// Chosen says that somebody named this source in the hub's settings: it counts among the others also while it wants no stream.
	Chosen bool
}

// Task runs until its context ends.
type Task struct {
	What string // for the log, as "Reading the stream files"
	Run  func(ctx context.Context)
}
