"""The letters that name array axes, the same in every shape of every module.

| letter | axis |
|---|---|
| B | batch rows: one (input, sample) pair each |
| T | steps of a sequence |
| H | hidden units of one LSTM layer |
| Z | the four gates of every hidden unit, 4 H |
| L | layers of the decoder |
| V | symbols of a vocabulary |
| F | fields of a step |
| P | parameters of a distribution |
| K | beams, or components of a mixture |
| U | uniforms that one step consumes |
| M | hidden units between the fields of one step; members of a block of flags |
| Q | parameters of all distributions of a step, side by side |
| X | what a fed-back step gives: Z for the first layer, then Q for the distributions |
| D | width of an embedding |
| C | width of the context: the encoded input that every step sees |
| N | examples of a data set |
| S | steps of a data set, all sequences laid end to end |
"""

AXES = tuple("BTHZLVFPKUMQXDCNS")
