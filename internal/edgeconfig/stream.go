package edgeconfig

import "time"

// StreamConfig is a version of the configuration of one stream.
type StreamConfig struct {
	StreamName, StreamARN string
	Config                EdgeConfig
	// LastUpdated distinguishes versions. A newer one with equal content asks to restart failed jobs.
	LastUpdated time.Time
}

// Refusal is the error of a configuration that cannot be followed. Stream is empty when its stream is not known;
// then no status can be sent.
type Refusal struct {
	Stream, ARN string
	LastUpdated time.Time // zero when it is missing
	Text        string
}

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Text }

// SyncStatus says how the configuration of a stream fares.
type SyncStatus struct {
	StreamName, StreamARN string
	Status                string    // a SyncStatus of the KVS API
	FailedStatusDetails   string    // a sentence for people; empty when there is nothing to say
	LastUpdated           time.Time // of the version that it is about; zero when that is not known
}
