// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EpochSeeds} from "./EpochSeeds.sol";
import {NodeRegistry} from "./NodeRegistry.sol";
import {ICAI} from "./interfaces/ICAI.sol";
import {Role} from "./interfaces/INodeRegistry.sol";
import {IStaking, NodeInfo, Unbonding} from "./interfaces/IStaking.sol";
import {SharePool} from "./libraries/SharePool.sol";

/// @title Stake behind nodes.
/// @notice Each node has two pools of stake, one that stands behind it and one on its way out; a slash takes
/// the same fraction of both. Owners and voters hold shares of the first alike; what makes a node active is
/// how much of it is its owner's. No owner, no upgrade; the token, the slasher and the delays are fixed.
contract Staking is IStaking, NodeRegistry, EpochSeeds, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using SafeERC20 for IERC20;
    using SharePool for SharePool.Pool;

    struct NodeStake {
        SharePool.Pool active;
        SharePool.Pool thawing;
        mapping(address account => uint256) sharesOf;
        Checkpoints.Trace208 weights;
        bool jailed;
    }

    struct Request {
        address account;
        uint64 releaseTime;
        address node;
        uint256 thawingShares;
    }

    uint256 private constant MINIMUM_MINER_STAKE = 20_000 ether;
    uint256 private constant MINIMUM_COORDINATOR_STAKE = 2_000_000 ether;
    uint256 private constant MINIMUM_UNBONDING_DELAY = 1 minutes;
    uint256 private constant MAXIMUM_UNBONDING_DELAY = 60 days;
    uint256 private constant MAXIMUM_REPORTER_SHARE = 5_000;

    /// @inheritdoc IStaking
    address public immutable TOKEN;
    /// @inheritdoc IStaking
    address public immutable SLASHER;
    /// @inheritdoc IStaking
    uint256 public immutable UNBONDING_DELAY;

    /// @inheritdoc IStaking
    mapping(address account => uint256) public rewardOf;
    /// @inheritdoc IStaking
    uint256 public unclaimedRewards;

    mapping(address node => NodeStake) private _stakes;
    mapping(uint256 requestId => Request) private _requests;
    uint256 private _lastRequestId;

    /// @param token CAI, which reverts on a failed transfer and lets holders burn.
    /// @param slasher May not exist yet: it checks on its own deployment that it is meant.
    /// @param unbondingDelay In seconds, 1 minute to 60 days; longer than evidence takes to surface.
    /// @param epochBlocks See `EpochSeeds`.
    /// @param seedDelayBlocks See `EpochSeeds`.
    constructor(
        address token,
        address slasher,
        uint256 unbondingDelay,
        uint256 epochBlocks,
        uint256 seedDelayBlocks
    ) EIP712("Cuckoo Staking", "1") EpochSeeds(epochBlocks, seedDelayBlocks) {
        if (unbondingDelay < MINIMUM_UNBONDING_DELAY || unbondingDelay > MAXIMUM_UNBONDING_DELAY) {
            revert UnbondingDelayOutOfBounds(unbondingDelay);
        }
        TOKEN = token;
        SLASHER = slasher;
        UNBONDING_DELAY = unbondingDelay;
    }

    /// @inheritdoc IStaking
    function register(
        Role role,
        address node,
        string calldata metadata,
        uint256 amount,
        uint256 deadline,
        bytes calldata consentSignature
    ) external nonReentrant {
        _enterNode(role, node, metadata, deadline, consentSignature);
        uint256 minimum = minimumOwnStake(role);
        if (amount <= minimum) revert OwnStakeTooSmall(amount, minimum);
        _deposit(node, amount);
    }

    /// @inheritdoc IStaking
    function addStake(address node, uint256 amount)
        external
        nonReentrant
        onlyOwnerOf(node)
        returns (uint256 shares)
    {
        if (_stakes[node].jailed) revert NodeJailed(node);
        return _deposit(node, amount);
    }

    /// @inheritdoc IStaking
    function vote(address node, uint256 amount) external nonReentrant returns (uint256 shares) {
        address owner = ownerOf(node);
        if (owner == address(0)) revert NotRegistered(node);
        if (owner == msg.sender) revert OwnerCannotVote(node);
        if (!_isActive(node)) revert NodeInactive(node);
        return _deposit(node, amount);
    }

    /// @inheritdoc IStaking
    function unvote(address node, uint256 shares) external nonReentrant returns (uint256 requestId) {
        NodeStake storage stake = _stakes[node];
        uint256 available = stake.sharesOf[msg.sender];
        if (shares > available) revert NotEnoughShares(shares, available);

        uint256 amount = stake.active.redeem(shares);
        if (amount == 0) revert NothingToMove();
        stake.sharesOf[msg.sender] = available - shares;
        uint64 releaseTime = SafeCast.toUint64(block.timestamp + UNBONDING_DELAY);
        requestId = ++_lastRequestId;
        _requests[requestId] = Request({
            account: msg.sender,
            releaseTime: releaseTime,
            node: node,
            thawingShares: stake.thawing.deposit(amount)
        });
        emit UnbondingStarted(requestId, node, msg.sender, shares, amount, releaseTime);
        _updateWeight(node);
    }

    /// @inheritdoc IStaking
    function withdraw(uint256 requestId) external nonReentrant returns (uint256 amount) {
        Request memory request = _requests[requestId];
        if (request.account != msg.sender) revert NotYourRequest(requestId, msg.sender);
        if (block.timestamp < request.releaseTime) revert StillUnbonding(requestId, request.releaseTime);

        delete _requests[requestId];
        amount = _stakes[request.node].thawing.redeem(request.thawingShares);
        emit Withdrawn(requestId, request.node, msg.sender, amount);
        IERC20(TOKEN).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStaking
    function withdrawReward() external nonReentrant returns (uint256 amount) {
        amount = rewardOf[msg.sender];
        if (amount == 0) revert NoReward(msg.sender);
        rewardOf[msg.sender] = 0;
        unclaimedRewards -= amount;
        emit RewardWithdrawn(msg.sender, amount);
        IERC20(TOKEN).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStaking
    function slash(address node, uint256 fraction, address reporter, uint256 reporterShare)
        external
        nonReentrant
        returns (uint256 taken, uint256 reward)
    {
        if (msg.sender != SLASHER) revert NotSlasher(msg.sender);
        if (ownerOf(node) == address(0)) revert NotRegistered(node);
        bool inBounds = fraction != 0 && fraction <= SharePool.BASIS_POINTS;
        if (!inBounds || reporterShare > MAXIMUM_REPORTER_SHARE) {
            revert SlashOutOfBounds(fraction, reporterShare);
        }

        NodeStake storage stake = _stakes[node];
        // Jailing for good is also what keeps a pool that lost everything from ever taking a deposit.
        stake.jailed = true;
        uint256 stakeTaken = stake.active.slash(fraction);
        uint256 unbondingTaken = stake.thawing.slash(fraction);
        taken = stakeTaken + unbondingTaken;
        reward = Math.mulDiv(taken, reporterShare, SharePool.BASIS_POINTS);
        rewardOf[reporter] += reward;
        unclaimedRewards += reward;
        emit Slashed(node, reporter, stakeTaken, unbondingTaken, reward, taken - reward);
        _updateWeight(node);
        ICAI(TOKEN).burn(taken - reward);
    }

    /// @inheritdoc IStaking
    function nodeInfo(address node) external view returns (NodeInfo memory) {
        Registration storage registration = _registrations[node];
        NodeStake storage stake = _stakes[node];
        return NodeInfo({
            owner: registration.owner,
            role: registration.role,
            jailed: stake.jailed,
            active: _isActive(node),
            ownStake: stakeOf(node, registration.owner),
            totalStake: stake.active.stake,
            unbondingStake: stake.thawing.stake,
            metadata: registration.metadata
        });
    }

    /// @inheritdoc IStaking
    function sharesOf(address node, address account) external view returns (uint256) {
        return _stakes[node].sharesOf[account];
    }

    /// @inheritdoc IStaking
    function stakeOf(address node, address account) public view returns (uint256) {
        NodeStake storage stake = _stakes[node];
        return stake.active.toStake(stake.sharesOf[account]);
    }

    /// @inheritdoc IStaking
    function unbonding(uint256 requestId) external view returns (Unbonding memory) {
        Request storage request = _requests[requestId];
        return Unbonding({
            account: request.account,
            node: request.node,
            amount: _stakes[request.node].thawing.toStake(request.thawingShares),
            releaseTime: request.releaseTime
        });
    }

    /// @inheritdoc IStaking
    function weightAt(address node, uint256 blockNumber) public view returns (uint256) {
        uint48 currentBlock = clock();
        if (blockNumber >= currentBlock) revert BlockNotPast(blockNumber, currentBlock);
        return _stakes[node].weights.upperLookupRecent(SafeCast.toUint48(blockNumber));
    }

    /// @inheritdoc IStaking
    function snapshot(Role role, uint256 blockNumber, uint256 start, uint256 count)
        external
        view
        returns (address[] memory nodes, uint256[] memory weights)
    {
        nodes = nodesPage(start, count);
        weights = new uint256[](nodes.length);
        uint256 found = 0;
        for (uint256 i = 0; i < nodes.length; ++i) {
            address node = nodes[i];
            if (_registrations[node].role != role) continue;
            uint256 weight = weightAt(node, blockNumber);
            if (weight == 0) continue;
            nodes[found] = node;
            weights[found] = weight;
            ++found;
        }
        // Shortens both arrays in place to what was found; there is no other way to say it in Solidity.
        assembly ("memory-safe") {
            mstore(nodes, found)
            mstore(weights, found)
        }
    }

    /// @inheritdoc IStaking
    function minimumOwnStake(Role role) public pure returns (uint256) {
        return role == Role.Coordinator ? MINIMUM_COORDINATOR_STAKE : MINIMUM_MINER_STAKE;
    }

    /// @dev Takes stake of the caller's. Effects come first; the token comes last.
    function _deposit(address node, uint256 amount) private returns (uint256 shares) {
        NodeStake storage stake = _stakes[node];
        shares = stake.active.deposit(amount);
        if (shares == 0) revert NothingToMove();
        stake.sharesOf[msg.sender] += shares;
        emit Staked(node, msg.sender, amount, shares);
        _updateWeight(node);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @dev Has to follow every change of a node's pool or jail.
    function _updateWeight(address node) private {
        NodeStake storage stake = _stakes[node];
        uint208 weight = _isActive(node) ? SafeCast.toUint208(stake.active.stake) : 0;
        if (weight == stake.weights.latest()) return;
        stake.weights.push(clock(), weight);
        emit WeightChanged(node, weight);
    }

    function _isActive(address node) private view returns (bool) {
        Registration storage registration = _registrations[node];
        if (registration.role == Role.None || _stakes[node].jailed) return false;
        return stakeOf(node, registration.owner) > minimumOwnStake(registration.role);
    }
}
