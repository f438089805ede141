package accessunit

import "github.com/kvs-edge/kvs-edge-agent/internal/mkv"

// extendedSAR: the shape of a pixel is given in numbers (H.264, table E-1).
const extendedSAR = 255

// pixelShapes are the widths and heights of a pixel by their number (H.264, table E-1; H.265's is the same).
var pixelShapes = [...][2]int{
	1: {1, 1}, 2: {12, 11}, 3: {10, 11}, 4: {16, 11}, 5: {40, 33}, 6: {24, 11}, 7: {20, 11}, 8: {32, 11}, 9: {80, 33},
	10: {18, 11}, 11: {15, 11}, 12: {64, 33}, 13: {160, 99}, 14: {4, 3}, 15: {3, 2}, 16: {2, 1},
}

// usability is the part of a parameter set's video usability information (VUI) that describes how pictures are shown.
type usability struct {
	shape         bool // the shape of a pixel is given
	shapeNumber   uint8
	width, height uint16 // of a pixel, with extendedSAR
	signal        bool   // the range is given
	full          bool
	colour        bool // and these are given
	primaries     uint8
	transfer      uint8
	matrix        uint8
}

// picture describes how pictures of width x height pixels are shown.
func (u usability) picture(width, height int, interlaced bool) mkv.Picture {
	p := mkv.Picture{Interlaced: interlaced}
	if u.shape {
		p.DisplayWidth, p.DisplayHeight = u.display(width, height)
	}
	if u.signal {
		if p.Range = 1; u.full {
			p.Range = 2
		}
	}
	if u.colour {
		p.Primaries, p.Transfer, p.Matrix = said(u.primaries), said(u.transfer), said(u.matrix)
	}
	return p
}

// said returns 0 for a number that means unknown.
func said(number uint8) int {
	const unspecified = 2
	if number == unspecified {
		return 0
	}
	return int(number)
}

// display returns the size of a picture with square pixels; 0 when they are square. It has exactly the picture's shape where one of the
// two sizes can stay.
func (u usability) display(width, height int) (w, h int) {
	across, down := int(u.width), int(u.height)
	if u.shapeNumber != extendedSAR {
		if int(u.shapeNumber) >= len(pixelShapes) {
			return 0, 0
		}
		shape := pixelShapes[u.shapeNumber]
		across, down = shape[0], shape[1]
	}
	const most = 64 // no camera has pixels that are longer
	switch {
	case across == 0 || down == 0 || across == down || across > most*down || down > most*across:
		return 0, 0
	case width*across%down == 0:
		return width * across / down, height
	case height*down%across == 0:
		return width, height * down / across
	}
	return (width*across + down/2) / down, height
}
