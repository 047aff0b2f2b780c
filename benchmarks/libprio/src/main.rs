//! Verifies the reports in a file with libprio-rs and says how long each repetition took.
//!
//! Arguments: KIND LENGTH LIMIT CHUNK_LENGTH REPEATS INPUT OUTPUT, two aggregators.
//! INPUT: verify key (32 bytes), size of a leader's input share (4, little-endian), length of
//! the context (1), the context, then rows of
//! nonce, public share, leader's and helper's input share. OUTPUT gets the verifier shares:
//! all of the leader's, then all of the helper's. Printed: one JSON object of nanoseconds.

use prio::codec::{Encode, ParameterizedDecode};
use prio::vdaf::prio3::{Prio3, Prio3InputShare, Prio3PublicShare, Prio3VerifierShare};
use prio::vdaf::xof::XofTurboShake128;
use prio::vdaf::{Aggregator, VerifyTransition};
use std::time::Instant;

const SEED: usize = 32;
const NONCE: usize = 16;

fn run<T: prio::flp::Type>(
    vdaf: Prio3<T, XofTurboShake128, SEED>,
    repeats: usize,
    input: &[u8],
    output: &str,
) {
    let key: [u8; SEED] = input[..SEED].try_into().unwrap();
    let ctx_at = SEED + 4 + 1;
    let ctx_end = ctx_at + usize::from(input[ctx_at - 1]);
    let ctx = &input[ctx_at..ctx_end];
    let leader_size = u32::from_le_bytes(input[SEED..SEED + 4].try_into().unwrap()) as usize;
    let public_size = 2 * SEED;
    let sizes = [leader_size, 2 * SEED];
    let row_size = NONCE + public_size + sizes[0] + sizes[1];
    let rows: Vec<&[u8]> = input[ctx_end..].chunks_exact(row_size).collect();
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let mut shares: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..repeats {
        let mut states = [Vec::new(), Vec::new()];
        for agg_id in 0..2 {
            let start_at = NONCE + public_size + if agg_id == 1 { sizes[0] } else { 0 };
            shares[agg_id].clear();
            let begun = Instant::now();
            for row in &rows {
                let nonce: [u8; NONCE] = row[..NONCE].try_into().unwrap();
                let public = Prio3PublicShare::get_decoded_with_param(
                    &vdaf,
                    &row[NONCE..NONCE + public_size],
                )
                .unwrap();
                let share = Prio3InputShare::get_decoded_with_param(
                    &(&vdaf, agg_id),
                    &row[start_at..start_at + sizes[agg_id]],
                )
                .unwrap();
                let (state, verifier) = vdaf
                    .verify_init(&key, ctx, agg_id, &(), &nonce, &public, &share)
                    .unwrap();
                shares[agg_id].push(verifier.get_encoded().unwrap());
                states[agg_id].push(state);
            }
            times[agg_id].push(begun.elapsed().as_nanos());
        }
        let [leader, helper] = states;
        let begun = Instant::now();
        for (i, (left, right)) in leader.into_iter().zip(helper).enumerate() {
            let decoded: Vec<_> = [(&left, &shares[0][i]), (&right, &shares[1][i])]
                .into_iter()
                .map(|(s, d)| Prio3VerifierShare::get_decoded_with_param(s, d).unwrap())
                .collect();
            let message = vdaf.verifier_shares_to_message(ctx, &(), decoded).unwrap();
            for state in [left, right] {
                match vdaf.verify_next(ctx, state, message.clone()).unwrap() {
                    VerifyTransition::Finish(_) => (),
                    VerifyTransition::Continue(..) => unreachable!(),
                }
            }
        }
        times[2].push(begun.elapsed().as_nanos());
    }
    std::fs::write(output, shares.concat().concat()).unwrap();
    println!(
        "{{\"rows\": {}, \"leader\": {:?}, \"helper\": {:?}, \"decide\": {:?}}}",
        rows.len(), times[0], times[1], times[2]
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |i: usize| arguments[i].parse::<usize>().unwrap();
    let (length, limit, chunk, repeats) = (number(2), number(3), number(4), number(5));
    let input = std::fs::read(&arguments[6]).unwrap();
    let output = &arguments[7];
    match arguments[1].as_str() {
        "histogram" => run(Prio3::new_histogram(2, length, chunk).unwrap(), repeats, &input, output),
        "sumvec" => run(
            Prio3::new_sum_vec(2, limit as u128, length, chunk).unwrap(),
            repeats, &input, output,
        ),
        "multihot" => run(
            Prio3::new_multihot_count_vec(2, length, limit, chunk).unwrap(),
            repeats, &input, output,
        ),
        other => panic!("unknown kind {other}"),
    }
}
