// Package uploader owns the upload of recorded fragments to Kinesis Video Streams: in which PutMedia session each is sent,
// and what follows from each answer of the service. It must not know how media is recorded, when uploading is allowed, or
// what is deleted afterwards.
//
// The store is the only memory: a fragment is pending until the store has marked it as persisted or
// refused, and only an acknowledgement for that very fragment does that, never the state of the connection. Everything else,
// above all a session, can be discarded at any instant and started again.
//
// One goroutine does all this for a stream, with a package for each question: queue decides which fragment is next, pace how
// fast it is sent, rules what an error means, poison which fragments break every session that they are sent in, and refused
// which of the fragments that the service refused are sent again.
package uploader
