// Package uploader owns the way of recorded fragments to Kinesis Video Streams: in which session each goes, and what
// follows from each answer of the service. It must not know how media is recorded, when uploading is allowed, or what
// is deleted afterwards.
//
// The store is the only memory: a fragment is pending until the store has it as persisted or
// refused, and only the service's word about that very fragment makes it so: never what the line did. Everything else, a
// session above all, can be thrown away at any instant and begun again.
//
// One goroutine does it all for a stream, with a package for each question: queue says which fragment is next, pace how
// fast it goes, rules what an error means, poison which fragments break every session they are in, and refused which
// are sent again that the service did not take.
package uploader
