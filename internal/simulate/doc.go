// Package simulate owns the life of a hub in a seed: its tests run the agent's own parts in a bubble of testing/synctest, where a year
// takes minutes, with cameras, a line, a cloud, a disk and a clock that fail as the seed says. No part of it is in the program. It must
// not know what the parts do inside: it holds what they promise against what the world has seen.
package simulate
