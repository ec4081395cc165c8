// What a worker and its lane say to each other, as plain values; net/lane.proto says what each field means.
#pragma once

#include "net/from_lane_messages.h"
#include "net/to_lane_messages.h"
