// Package uploader owns the way of recorded fragments to Kinesis Video Streams: which goes next,
// in which session, how fast, and what each answer of the service means for it. It must not know
// how media is recorded, when uploading is allowed, or what is deleted afterwards.
//
// The store is the only memory: a fragment is pending until the store has it as persisted or
// refused, and only the service's word about that very fragment makes it so: never what the line did. Everything else, a
// session above all, can be thrown away at any instant and begun again.
//
// One goroutine does it all for a stream: queue gives the fragments oldest first, session sends
// them and takes the acknowledgements, rules says what an error means, suspects finds fragments
// that break every session they are in, split makes parts of them, and refused sends those again that the service
// did not take.
package uploader
