package main

import "time"

// usualGOP is how often cameras send a keyframe.
const usualGOP = 2 * time.Second

// rate measures how fast many streams with a backlog are uploaded, compared with the limits of the service.
func rate(o options) ([]figure, error) {
	return catchUp(o.dir, newBacklog(o.streams, o.fragments, o.size, usualGOP))
}

// dayFragment is a fragment's size in bytes: 16 streams with a day of 10-s fragments take 2.3 GB,
// and as much again in the local cloud.
const dayFragment = 16_000

// day is rate after a day without a network. Only the number of fragments is a day's: their size is
// what a disk has room for.
func day(o options) ([]figure, error) {
	return catchUp(o.dir, newBacklog(o.streams, int(o.day/o.length), dayFragment, o.length))
}
